"""The law of redaction's work: no pattern goes over one character from more than a bounded number of beginnings.

`re` tries a pattern at every character, so a run without a bound that may still fail behind itself costs the square
of its length, and 20,000 characters would hold the process for seconds. Such a run is allowed where nothing behind it
can fail (the search goes on after it), or where the pattern refuses to begin behind any character of the run.
Patterns are read, not timed: `re` counts no steps, and a clock tells how busy the machine is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

from ingest import redaction

codes, parser = import_module("re._constants"), import_module("re._parser")  # `re` shows its trees nowhere else
LONG = 200  # times; a shorter run costs a constant
REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
ASSERTIONS = (codes.ASSERT, codes.ASSERT_NOT)
ALPHABET = frozenset(map(chr, range(0x250))) | frozenset("Ωж’“”…•☎")
CLASSES = {
    codes.CATEGORY_DIGIT: re.compile(r"\d"),
    codes.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    codes.CATEGORY_SPACE: re.compile(r"\s"),
    codes.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    codes.CATEGORY_WORD: re.compile(r"\w"),
    codes.CATEGORY_NOT_WORD: re.compile(r"\W"),
}
Tree = Iterable[tuple[Any, Any]]


def patterns() -> Iterator[tuple[str, str, int]]:
    for module in iter_modules(redaction.__path__):
        for name, value in vars(import_module(f"{redaction.__name__}.{module.name}")).items():
            for at, pattern in enumerate(within(value)):
                yield f"{module.name}.{name}[{at}]", pattern.pattern, pattern.flags


def within(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from within(part)


def costly_runs(tree: Tree, *, may_fail: bool, refused: frozenset[str]) -> Iterator[str]:
    """What each run takes that is too long; `may_fail` is whether anything behind the tree can."""
    nodes = list(tree)
    refused |= begins_behind_none_of(nodes)
    for at, (code, value) in enumerate(nodes):
        fails = may_fail or any(can_fail(node) for node in nodes[at + 1 :])
        if code in REPEATS:
            least, most, body = value
            if most > LONG and fails and not characters(body) <= refused:
                yield "".join(sorted(characters(body) - refused)[:9])
            yield from costly_runs(body, may_fail=fails or least > 1, refused=refused)
        elif code in ASSERTIONS:  # takes nothing, so the search does not go on after it
            yield from costly_runs(value[1], may_fail=True, refused=refused)
        else:
            for part in parts(code, value):
                yield from costly_runs(part, may_fail=fails, refused=refused)


def begins_behind_none_of(nodes: list[tuple[Any, Any]]) -> frozenset[str]:
    """Characters that a look-behind at the beginning refuses; all, where the pattern begins with the text."""
    refused: frozenset[str] = frozenset()
    for code, value in nodes:
        if code is codes.AT and value is codes.AT_BEGINNING:
            return ALPHABET
        if code is not codes.ASSERT_NOT or value[0] != -1:
            return refused
        if len(value[1]) == 1:
            refused |= characters(value[1])
    return refused


def can_fail(node: tuple[Any, Any]) -> bool:
    code, value = node
    if code in REPEATS:
        return value[0] > 0 and any(map(can_fail, value[2]))
    if code is codes.BRANCH:
        return all(any(map(can_fail, part)) for part in value[1])
    inner = list(parts(code, value))
    return not inner or any(any(map(can_fail, part)) for part in inner)


def parts(code: Any, value: Any) -> Iterable[Tree]:
    if code is codes.SUBPATTERN:
        return (value[3],)
    if code is codes.ATOMIC_GROUP:
        return (value,)
    return value[1] if code is codes.BRANCH else ()


def characters(tree: Tree) -> frozenset[str]:
    """Those of the alphabet that it may take, in either case."""
    taken: set[str] = set()
    for code, value in tree:
        if code in REPEATS:
            taken |= characters(value[2])
        elif code is codes.IN:
            taken |= of_class(value)
        elif code is codes.LITERAL:
            taken |= {chr(value).lower(), chr(value).upper()}
        elif code in (codes.NOT_LITERAL, codes.ANY):
            taken |= ALPHABET
        for part in parts(code, value):
            taken |= characters(part)
    return frozenset(taken)


def of_class(items: list[tuple[Any, Any]]) -> frozenset[str]:
    taken: set[str] = set()
    for code, value in items:
        if code is codes.LITERAL:
            taken.add(chr(value))
        elif code is codes.RANGE:
            taken |= set(map(chr, range(value[0], value[1] + 1)))
        elif code is codes.CATEGORY:
            taken |= {one for one in ALPHABET if CLASSES[value].match(one)}
    return ALPHABET - taken if items[0][0] is codes.NEGATE else frozenset(taken)


@pytest.mark.parametrize(("pattern", "flags"), [pytest.param(*rest, id=name) for name, *rest in patterns()])
def test_no_pattern_of_redaction_goes_over_a_run_from_many_beginnings(pattern: str, flags: int) -> None:
    costly = list(costly_runs(parser.parse(pattern, flags), may_fail=False, refused=frozenset()))
    assert not costly, f"a run of {costly[0]!r} may fail behind itself: bound it, e.g. {{0,60}}+"


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
    assert bool(list(costly_runs(parser.parse(pattern), may_fail=False, refused=frozenset()))) is is_costly
