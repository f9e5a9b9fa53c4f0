"""What the local stack settles and refuses without starting anything: ports, settings, missing tools, the disk."""

from __future__ import annotations

import socket
import stat
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from infra.local import children, kafka, parts
from infra.local.children import Child
from infra.local.cli import commands
from infra.local.ports import HOST, free_port
from infra.local.settling import Wishes, settle
from infra.local.stack import Stack
from infra.local.state import State, load_state, passwords, save_state, write_env
from infra.settings import Settings
from ingest.settings import LEAST_SECRET, IngestSettings
from matrix.errors import StackFailed


def test_every_part_gets_a_port_of_its_own(tmp_path: Path) -> None:
    ports = settle(tmp_path, State(), Wishes()).ports
    assert set(ports) == set(parts.ports(servers_only=False))
    assert len(set(ports.values())) == len(ports)


def test_ports_stay_what_they_were(tmp_path: Path) -> None:
    first = settle(tmp_path, State(), Wishes())
    assert settle(tmp_path, first, Wishes()).ports == first.ports


def test_a_port_that_somebody_took_meanwhile_is_replaced_unless_it_was_asked_for(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        holder.listen()
        taken = holder.getsockname()[1]
        before = State(ports={"gateway": taken})
        assert settle(tmp_path, before, Wishes()).ports["gateway"] != taken
        with pytest.raises(StackFailed, match=f"gateway: port {taken} on 127.0.0.1 is taken"):
            settle(tmp_path, State(), Wishes(ports={"gateway": taken}))


def test_up_ends_what_a_killed_up_could_not_note_before_it_settles_ports(tmp_path: Path) -> None:
    forgotten = Child("redis", (sys.executable, "-c", "import time; time.sleep(600)"), tmp_path, lambda _pid: True)
    process = psutil.Process(children.start(forgotten))
    forgotten.pid_file.unlink()
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        holder.listen()
        with pytest.raises(StackFailed, match="gateway: port"):
            Stack(tmp_path).up(Wishes(ports={"gateway": holder.getsockname()[1]}))
    assert not process.is_running()


def test_an_asked_port_is_given(tmp_path: Path) -> None:
    port = free_port()
    assert settle(tmp_path, State(), Wishes(ports={"gateway": port})).ports["gateway"] == port


def test_settings_of_the_shell_and_of_the_command_reach_the_processes_and_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLUMBLINE_LOG_LEVEL", "debug")
    monkeypatch.setenv("PLUMBLINE_API_KEY", "plb_secret")
    monkeypatch.setenv("PLUMBLINE_KAFKA", "elsewhere:9092")
    first = settle(tmp_path, State(), Wishes(settings={"PLUMBLINE_POLICY": "triage"}))
    monkeypatch.delenv("PLUMBLINE_LOG_LEVEL")
    assert settle(tmp_path, first, Wishes()).settings == {"PLUMBLINE_LOG_LEVEL": "debug", "PLUMBLINE_POLICY": "triage"}


def test_the_env_file_says_to_settings_what_the_processes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = settle(tmp_path, State(), Wishes(settings={"PLUMBLINE_POLICY": "triage"}))
    told = parts.variables(tmp_path, state, passwords(tmp_path))
    write_env(tmp_path / "stack.env", told)
    for name in told:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path))
    loaded = Settings.load()
    assert loaded.database_url.get_secret_value() == told["PLUMBLINE_DATABASE_URL"]
    assert loaded.gateway_url == told["PLUMBLINE_GATEWAY_URL"]
    assert loaded.policy_server_urls == (told["PLUMBLINE_POLICY_SERVER_URLS"],)
    assert loaded.policy == "triage"


def test_every_variable_that_processes_are_told_is_a_setting(tmp_path: Path) -> None:
    state = settle(tmp_path, State(base_model=tmp_path), Wishes())
    told = parts.variables(tmp_path, state, passwords(tmp_path))
    assert {name.removeprefix("PLUMBLINE_").lower() for name in told} <= set(IngestSettings.model_fields)


def test_the_secret_of_pseudonyms_is_made_once_and_outlives_older_folders(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"database": "a", "redis": "b"}')
    first = passwords(tmp_path)
    assert (first.database, first.redis) == ("a", "b")
    assert len(first.pseudonyms) >= LEAST_SECRET
    assert passwords(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_files_with_passwords_are_read_by_their_owner_alone(tmp_path: Path) -> None:
    passwords(tmp_path)
    save_state(tmp_path, State())
    write_env(tmp_path / "stack.env", {})
    for name in ("secrets.json", "run/state.json", "stack.env"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_damaged_state_is_one_line(tmp_path: Path) -> None:
    save_state(tmp_path, State())
    (tmp_path / "run" / "state.json").write_text("{")
    with pytest.raises(StackFailed, match="is damaged"):
        load_state(tmp_path)


def test_missing_java_and_missing_maven_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackFailed, match=r"Maven \(mvn\) is not on PATH. Install it"):
        kafka.ensure_jars(tmp_path / "cache")
    with pytest.raises(StackFailed, match=r"Java \(java\) is not on PATH. Install"):
        kafka.prepare_data(tmp_path, tmp_path, port=1, controller_port=2)


def test_an_old_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackFailed, match="Java 11 is too old"):
        kafka.prepare_data(tmp_path, tmp_path, port=1, controller_port=2)


def test_a_download_that_fails_leaves_nothing_that_looks_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java, maven = tmp_path / "java", tmp_path / "mvn"
    java.write_text("#!/bin/sh\necho 'openjdk version \"17.0.2\"' >&2\n")
    maven.write_text("#!/bin/sh\necho '[ERROR] no route to the repository'\nexit 1\n")
    for tool in (java, maven):
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(StackFailed, match=r"could not fetch its jars: .*no route"):
        kafka.ensure_jars(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["kafka.lock"]


def test_jars_are_fetched_once_by_those_who_ask_at_once_and_a_killed_download_is_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java, maven, cache = tmp_path / "java", tmp_path / "mvn", tmp_path / "cache"
    java.write_text("#!/bin/sh\necho 'openjdk version \"17.0.2\"' >&2\n")
    makes_its_folder = 'for word; do case "$word" in -DoutputDirectory=*) mkdir "${word#*=}";; esac; done'
    maven.write_text(f"#!/bin/sh\necho fetched >> {tmp_path}/log\n{makes_its_folder}\n")
    for tool in (java, maven):
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (cache / "draft-of-a-killed-one" / "jars").mkdir(parents=True)
    with ThreadPoolExecutor() as pool:
        found = set(pool.map(kafka.ensure_jars, [cache] * 4))
    assert found == {kafka.jars_folder(cache)}
    assert (tmp_path / "log").read_text() == "fetched\n"
    assert sorted(path.name for path in cache.iterdir()) == [kafka.jars_folder(cache).name, "kafka.lock"]


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage(10**12, 10**12, 5 << 20))
    with pytest.raises(StackFailed, match=r"disk: 5 MB are free under .*, 1024 are needed. Free some space"):
        Stack(tmp_path).up()


@pytest.mark.parametrize("pair", ["gateway", "gateway=0", "gateway=65536", "gateway=x", "kafka-controller=9093", "=1"])
def test_a_port_that_cannot_be_is_a_usage_error(pair: str) -> None:
    outcome = CliRunner().invoke(commands, ["up", "--port", pair])
    assert outcome.exit_code == 2
    assert "--port" in outcome.output


def test_status_of_a_stack_that_was_never_started_is_a_finding(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(commands, ["status", "--home", str(tmp_path), "--json"], standalone_mode=False)
    assert outcome.return_value == 1


def test_down_where_nothing_runs_ends_nothing(tmp_path: Path) -> None:
    assert Stack(tmp_path).down() == []
