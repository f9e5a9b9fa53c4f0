"""A thread that renews a run's lease while the run is held, however long one step or the calibration takes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from matrix.errors import IllegalTransition, Transient
from trainer.service import Runs

log = logging.getLogger(__name__)

BEATS_PER_LEASE = 3


@contextmanager
def heartbeat(runs: Runs, run_id: str) -> Iterator[None]:
    """Renew until the block ends, or until the run is no longer this worker's: its next step then stops it."""
    ended = threading.Event()
    thread = threading.Thread(target=_beat, args=(runs, run_id, ended), name=f"lease-{run_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _beat(runs: Runs, run_id: str, ended: threading.Event) -> None:
    while not ended.wait(runs.lease.total_seconds() / BEATS_PER_LEASE):
        try:
            runs.hold(run_id)
        except IllegalTransition:
            return
        except Transient as error:
            log.warning("lease was not renewed", extra={"run_id": run_id, "reason": str(error)})
