"""Kafka 4 in KRaft mode as one Java process, from jars that Maven resolves once.

Sized for one machine: small internal topics, no first-rebalance delay, the C1 compiler only (up in about 2 s, about
330 MB); after kill -9 a broker waits for its former self's session to pass, so that is short. Topics are never
created by use: a misspelt name must fail.
"""

from __future__ import annotations

import base64
import logging
import re
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from infra.local.children import Child
from infra.local.lifeline import ends_with_us
from infra.local.ports import HOST
from infra.local.readiness import Check, accepts
from infra.local.state import in_turn
from matrix.errors import StackFailed

FILES = Path(__file__).parent / "kafka_files"
OLDEST_JAVA = 17
DRAFT = "draft-"  # of a folder in the cache that is not whole yet
JVM = ("-Xms64m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=16777216
"""


def kafka_child(home: Path, jars: Path, *, port: int) -> Child:
    """The broker; `prepare_data` must have run."""
    settings = home / "run" / "kafka.properties"
    return Child(
        name="kafka",
        command=(*_java(jars), "kafka.Kafka", str(settings)),
        home=home,
        is_ready=_serves(port),
        grace_s=30,
        address=f"{HOST}:{port}",
    )


def jars_folder(cache: Path) -> Path:
    """Where this version's jars are, once they are there."""
    return cache / f"kafka-{_version()}"


def ensure_jars(cache: Path) -> Path:
    """The folder of jars, resolved by Maven where it is missing, by one command at a time.

    What a killed download leaves is removed by the next.
    """
    jars = jars_folder(cache)
    if jars.is_dir():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        raise StackFailed(
            part="kafka",
            reason="Maven (mvn) is not on PATH",
            remedy="Install it (Debian: apt install maven); it fetches Kafka's jars once.",
        )
    with in_turn(cache / "kafka.lock"):
        for left in cache.glob(f"{DRAFT}*"):
            shutil.rmtree(left, ignore_errors=True)
        if not jars.is_dir():
            with tempfile.TemporaryDirectory(prefix=DRAFT, dir=cache) as draft:
                _resolve(maven, Path(draft))
                (Path(draft) / "jars").replace(jars)
    return jars


def prepare_data(home: Path, jars: Path, *, port: int, controller_port: int) -> None:
    """Write the broker's settings; format its folder at the first start."""
    _check_java()
    data = home / "data" / "kafka"
    _write_properties(home / "run" / "kafka.properties", data=data, port=port, controller_port=controller_port)
    if data.is_dir():
        return
    draft = data.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    settings = home / "run" / "kafka-format.properties"
    _write_properties(settings, data=draft, port=port, controller_port=controller_port)
    # A leading dash would be read as an option: the first letter is ours.
    cluster = "P" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
    command = (*_java(jars), "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings))
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the command is ours
    if done.returncode != 0:
        raise StackFailed(part="kafka", reason=f"formatting failed: {_told(done)}", remedy=f"Look at {data.parent}.")
    draft.replace(data)


def _write_properties(path: Path, *, data: Path, port: int, controller_port: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PROPERTIES.format(host=HOST, port=port, controller=controller_port, data=data))


def _resolve(maven: str, draft: Path) -> None:
    _check_java()
    command = (maven, "-q", "-B", "-f", str(FILES / "pom.xml"), "dependency:copy-dependencies")
    where = (f"-DoutputDirectory={draft / 'jars'}", "-DincludeScope=runtime")
    done = subprocess.run(  # noqa: S603 - ours
        (*command, *where), capture_output=True, text=True, check=False, preexec_fn=ends_with_us()
    )
    if done.returncode != 0:
        raise StackFailed(
            part="kafka",
            reason=f"Maven could not fetch its jars: {_told(done)}",
            remedy="Check the network and Maven's settings.xml, then try again.",
        )


def _java(jars: Path) -> tuple[str, ...]:
    log = f"-Dlog4j2.configurationFile={(FILES / 'log4j2.properties').as_uri()}"
    return (shutil.which("java") or "java", *JVM, log, "-cp", f"{jars}/*")


def _check_java() -> None:
    java = shutil.which("java")
    remedy = f"Install a Java runtime of version {OLDEST_JAVA} or newer (Debian: apt install openjdk-17-jre-headless)."
    if java is None:
        raise StackFailed(part="kafka", reason="Java (java) is not on PATH", remedy=remedy)
    told = subprocess.run((java, "-version"), capture_output=True, text=True, check=False).stderr  # noqa: S603 - ours
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) < OLDEST_JAVA:
        reason = f"Java {found[1]} is too old" if found else "java -version answers nothing known"
        raise StackFailed(part="kafka", reason=reason, remedy=remedy)


def _serves(port: int) -> Check:
    """A broker accepts connections a little before it is registered; only then do clients find it."""

    def check(pid: int) -> bool:
        if not accepts(port)(pid):
            return False
        quiet = logging.getLogger("kafka")
        level = quiet.level
        quiet.setLevel(logging.CRITICAL)
        try:
            admin = KafkaAdminClient(bootstrap_servers=f"{HOST}:{port}", request_timeout_ms=5_000)
            try:
                return bool(admin.describe_cluster()["brokers"])
            finally:
                admin.close()
        except (KafkaError, OSError):
            return False
        finally:
            quiet.setLevel(level)

    return check


def _version() -> str:
    found = re.search(r"<kafka\.version>([\d.]+)<", (FILES / "pom.xml").read_text())
    if found is None:
        raise StackFailed(
            part="kafka", reason="pom.xml names no kafka.version", remedy="Restore infra/local/kafka_files."
        )
    return found[1]


def _told(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    told = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "it said nothing")
    return re.sub(r"\x1b\[[\d;]*m|https?://\S+", "", told)[:300]
