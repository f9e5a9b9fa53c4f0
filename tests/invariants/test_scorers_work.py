"""The law of the text scorers' work: their patterns go over no character from an unbounded number of beginnings.

Held for every pattern of the modules below, those of rules included; patterns that `phrases.pattern` makes of a
deployment's words hold no runs but `\\w*` at the end of a word, after which only a word's end can fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest

from matrix.scorers.instructions.rule import Rule
from tests.invariants.pattern_work import costly, within

PLAIN = ("agreement_flip", "assertions", "checkers", "citation", "claims", "hedging", "refusal")
INSTRUCTIONS = ("edges", "keywords", "kinds", "language", "layout", "lengths", "rule", "stated", "stated_forms")
STATED = ("stated_lengths", "stated_words")
MODULES = (*PLAIN, *(f"instructions.{name}" for name in (*INSTRUCTIONS, *STATED)))


def patterns() -> Iterator[tuple[str, str, int]]:
    for module in MODULES:
        for name, value in vars(import_module(f"matrix.scorers.{module}")).items():
            rules = value if isinstance(value, tuple) and value and isinstance(value[0], Rule) else ()
            for at, pattern in enumerate(within(tuple(rule.pattern for rule in rules) or value)):
                yield f"{module}.{name}[{at}]", pattern.pattern, pattern.flags


@pytest.mark.parametrize(("pattern", "flags"), [pytest.param(*rest, id=name) for name, *rest in patterns()])
def test_no_pattern_of_the_text_scorers_goes_over_a_run_from_many_beginnings(pattern: str, flags: int) -> None:
    found = costly(pattern, flags)
    assert not found, f"a run of {found[0]!r} may fail behind itself: bound it, e.g. {{0,60}}"


def test_the_law_sees_every_rule_for_stated_instructions() -> None:
    seen = {name.split("[")[0] for name, *_ in patterns()}
    assert {
        f"instructions.{name}.RULES" for name in ("stated", "stated_forms", "stated_lengths", "stated_words")
    } <= seen
