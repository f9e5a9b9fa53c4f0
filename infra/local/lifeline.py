"""A helper that is of no use without us ends when we do, even by kill -9 (PR_SET_PDEATHSIG of prctl(2)).

Only for one that the calling thread waits for: the kernel means the thread that started it, not the process.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def ends_with_us() -> Callable[[], None]:
    """For `preexec_fn`; what it needs is looked up before the fork."""
    parent, prctl = os.getpid(), ctypes.CDLL(None).prctl

    def arm() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # we were gone before it was armed
            os._exit(1)

    return arm
