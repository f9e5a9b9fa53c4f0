"""What the aliases champion and previous name stays loaded on every policy server.

A policy server holds adapters in memory alone: one that was restarted lists only its base model, while alias and route
still name an adapter. So every few seconds each server is asked what it lists, and what it lacks is loaded again from
bytes that have their digest. A champion is proven as in a promotion; one that fails is unloaded again, since an answer
of an unknown model is worse than none. Between load and proof it may answer, for it must be loaded to be asked.
A server may keep one waiting, so loading goes without the policy's lock; what no alias names any more by then is taken
back under it. Left out: proving again what a server lists already.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlmodel import Session

from matrix.errors import NotFound, PlumblineError, Transient
from matrix.messages.gate import Verdict
from matrix.messages.run import Probe
from registry import repository
from registry.service import CHAMPION, PREVIOUS, Registry
from registry.serving import Artifact, NamedServer, Proof, load, prove, unload
from registry.tables import VersionRow

log = logging.getLogger(__name__)


class Upkeep:
    """The thread that looks at once and then again and again."""

    def __init__(self, registry: Registry, *, every_s: float) -> None:
        self._registry, self._every_s = registry, every_s
        self._stopping = threading.Event()
        self._told: set[str] = set()  # last time; what stays wrong is logged once
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Look in the background until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._tell(ensure_served(self._registry))
            except PlumblineError as error:
                self._tell((error,))
            except Exception:  # a thread that ended would leave the next restart unmended, and nobody would know
                log.critical("upkeep of policy servers failed", exc_info=True)
            self._stopping.wait(self._every_s)

    def _tell(self, failures: Sequence[PlumblineError]) -> None:
        for failure in failures:
            if str(failure) not in self._told:
                level = logging.WARNING if isinstance(failure, Transient) else logging.ERROR
                fields = {"error": type(failure).__name__, "reason": str(failure)}
                log.log(level, "a policy server lacks what it should serve", extra=fields)
        self._told = {str(failure) for failure in failures}


def ensure_served(registry: Registry) -> tuple[PlumblineError, ...]:
    """Every policy's champion and previous adapter is listed by every server; what kept one from it."""
    with registry.database.unit_of_work() as session:
        named = repository.adapters_under(session, (CHAMPION, PREVIOUS))
    servers = registry.servers if named else ()
    return tuple(failure for one in servers for failure in _ensure_on(registry, one, named))


def _ensure_on(
    registry: Registry, one: NamedServer, named: Sequence[tuple[str, VersionRow]]
) -> Iterator[PlumblineError]:
    try:
        listed = one.server.served_models()
    except PlumblineError as error:
        yield error
        return
    for alias, version in named:
        if version.name not in listed:
            try:
                bring_back(registry, one, version, is_champion=alias == CHAMPION)
            except PlumblineError as error:
                yield error


def bring_back(registry: Registry, one: NamedServer, version: VersionRow, *, is_champion: bool) -> Proof | None:
    """Load on one server, and prove what people are served from; nothing that fails stays loaded by this.

    Raises ArtifactCorrupt, NotFound, ServingNotProven or SamplerUnavailable.
    """
    artifact, loaded = artifact_of(registry, version), list[NamedServer]()
    with registry.database.unit_of_work() as session:
        probe = passed_probe(session, version) if is_champion else None
    try:
        load([one], artifact, loaded)
        proof = None
        if probe is not None:
            # What the probe was made beside is not what is served otherwise today.
            probe = probe.model_copy(update={"champion_logprobs": ()})
            proof = prove(one, artifact, probe, tolerance=registry.probe_tolerance)
    except PlumblineError:
        for there in loaded:
            unload(there, [version.name])
        raise
    if loaded:
        take_back(registry, version, loaded)
        log.warning("adapter was loaded again", extra={"server": one.address, "model": version.name})
    return proof


def take_back(registry: Registry, version: VersionRow, loaded: Sequence[NamedServer]) -> None:
    """Unload what no alias serves from; under the lock, since the alias may have come or gone meanwhile."""
    with registry.database.unit_of_work() as session:
        repository.lock_policy(session, version.policy)
        aliases = repository.aliases(session, version.policy)
        if version.number not in (aliases.get(CHAMPION), aliases.get(PREVIOUS)):
            for one in loaded:
                unload(one, [version.name])


def artifact_of(registry: Registry, version: VersionRow) -> Artifact:
    """What policy servers are to serve of it; the base model has no path."""
    uri = version.adapter_uri
    path: Path | None = registry.objects.local_path(uri) if uri else None
    return Artifact(version.name, version.adapter_digest, path)


def passed_probe(session: Session, version: VersionRow) -> Probe:
    """Of numbers that passed: what was promoted once has such, whatever came in since."""
    found = repository.newest_report(session, version.policy, version.adapter_digest, verdict=Verdict.PASS)
    if found is None:
        raise NotFound(what="probe of version", name=f"{version.policy}/{version.number}")
    return Probe.model_validate(found.probe)
