"""The law of redaction's work: no pattern goes over one character from more than a bounded number of beginnings.

Else 20,000 characters would hold the process for seconds. Patterns are read, not timed: `re` counts no steps, and a
clock tells how busy the machine is.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

import pytest

from ingest import redaction
from tests.invariants.pattern_work import costly, within


def patterns() -> Iterator[tuple[str, str, int]]:
    for module in iter_modules(redaction.__path__):
        for name, value in vars(import_module(f"{redaction.__name__}.{module.name}")).items():
            for at, pattern in enumerate(within(value)):
                yield f"{module.name}.{name}[{at}]", pattern.pattern, pattern.flags


@pytest.mark.parametrize(("pattern", "flags"), [pytest.param(*rest, id=name) for name, *rest in patterns()])
def test_no_pattern_of_redaction_goes_over_a_run_from_many_beginnings(pattern: str, flags: int) -> None:
    found = costly(pattern, flags)
    assert not found, f"a run of {found[0]!r} may fail behind itself: bound it, e.g. {{0,60}}+"


@pytest.mark.parametrize(
    ("pattern", "is_costly"),
    [
        (r"[A-Z]\w*+ \d", True),
        (r"token:(?=\S*\d)", True),
        (r"a(?:b*c)?", True),
        (r"(?:\w+ )*x", True),
        (r"(?<!\w)a(?:-\w++)*+ \d", True),
        (r"\s*$", True),
        (r"[A-Z]\w{0,60}+ \d", False),
        (r"www\.\S++", False),
        (r"(?<![\w.])[\w.]++@", False),
        (r"^\w+ is", False),
        (r"a(?:-\w++)*+", False),
    ],
)
def test_a_run_is_costly_where_the_search_would_begin_in_it_again(pattern: str, is_costly: bool) -> None:
    assert bool(costly(pattern)) is is_costly
