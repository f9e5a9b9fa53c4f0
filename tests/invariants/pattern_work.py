"""Reads regular expressions as trees and finds runs that a search may go over from many beginnings.

`re` tries a pattern at every character, so a run without a bound that may still fail behind itself costs the square
of its length. Such a run is allowed where nothing behind it can fail (the search goes on after it), or where the
pattern refuses to begin behind any character of the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

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


def costly(pattern: str, flags: int = 0) -> list[str]:
    """What the pattern's costly runs take, each shortened."""
    return list(costly_runs(parser.parse(pattern, flags), may_fail=False, refused=frozenset()))


def within(value: object) -> Iterator[re.Pattern[str]]:
    """Patterns that a module's value is or holds."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from within(part)
    elif isinstance(value, Mapping):
        yield from within(tuple(value.values()))


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
