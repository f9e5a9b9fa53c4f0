"""Instructions on form: items, title, marked text, sections, placeholders, postscript, JSON, one of a few answers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from matrix.messages.base import Value
from matrix.scorers.instructions.kind import Count, Kind, NoArguments, Relation, WordList, Words

IFEVAL_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_SHORT = 2  # words up to which an option must open the completion
_TITLE = re.compile(r"<<[^<>\n]{0,200}[^<>\s][^<>\n]{0,200}>>")
_MARK_OPENS = re.compile(r"(\*{1,2})(?=[^\s*])[^*\n]+")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]{1,200}\]")
_BULLET = re.compile(
    r"^[ \t]{0,20}(?:[*+-][ \t]{1,9}|[\u2022\u2013][ \t]{0,9})(?:[^\s*+-]|\*{1,2}[^\s*])", re.MULTILINE
)
_FENCE = re.compile(r"^```[a-z]{0,10}[ \t]{0,9}\n|\n?```$", re.IGNORECASE)


class Bullets(Value):
    """How many list items."""

    relation: Relation = Relation.EXACTLY
    num_bullets: Count


class Options(Value):
    """The answers to choose from; IFEval's three where none are given."""

    options: WordList = IFEVAL_OPTIONS


class Highlights(Value):
    """How many marked parts, at least."""

    num_highlights: Count


class Sections(Value):
    """What a section is called, and how many there are at least; spelt as IFEval spells it."""

    section_spliter: Words
    num_sections: Count


class Placeholders(Value):
    """How many placeholders, at least."""

    num_placeholders: Count


class Postscript(Value):
    """What the postscript begins with."""

    postscript_marker: Words


def has_so_many_bullets(completion: str, wanted: Bullets) -> bool:
    """Lines that begin with an asterisk, a hyphen or a dot."""
    return wanted.relation.holds(sum(1 for _ in _BULLET.finditer(completion)), wanted.num_bullets)


def chooses_an_option(completion: str, wanted: Options) -> bool:
    """A long option may stand anywhere, a short one ("yes") has to open the completion."""
    said = completion.lower()
    opening = said.lstrip("\"'*_ \t\n")
    return any(
        option.lower() in said
        if len(option.split()) > _SHORT
        else re.match(rf"{re.escape(option.lower())}(?!\w)", opening)
        for option in wanted.options
    )


def has_title(completion: str, _wanted: NoArguments) -> bool:
    """In double angular brackets."""
    return _TITLE.search(completion) is not None


def has_so_many_highlights(completion: str, wanted: Highlights) -> bool:
    """Between asterisks, one or two, on one line."""
    return sum(1 for _ in _marked(completion)) >= wanted.num_highlights


def _marked(completion: str) -> Iterator[str]:
    """Each asterisk opens or closes once."""
    at = 0
    while opens := _MARK_OPENS.search(completion, at):
        mark = opens.group(1)
        is_closed = completion.startswith(mark, opens.end())
        if is_closed:
            yield opens.group()
        at = opens.end() + len(mark) * is_closed


def has_so_many_sections(completion: str, wanted: Sections) -> bool:
    """Their name with a number, each number once."""
    name = re.escape(wanted.section_spliter.strip())
    numbers = re.findall(rf"(?<!\w){name}\s?(\d{{1,5}})(?!\d)", completion, re.IGNORECASE)
    return len({int(number) for number in numbers}) >= wanted.num_sections


def has_so_many_placeholders(completion: str, wanted: Placeholders) -> bool:
    """In square brackets."""
    return sum(1 for _ in _PLACEHOLDER.finditer(completion)) >= wanted.num_placeholders


def has_postscript(completion: str, wanted: Postscript) -> bool:
    """Dots and spaces in "P.S." do not matter; it stands where a line or sentence begins."""
    letters = [re.escape(part) for part in re.split(r"[.\s]+", wanted.postscript_marker.strip()) if part]
    marker = r"\.?\s?".join(letters) if letters else re.escape(wanted.postscript_marker.strip())
    return re.search(rf"(?<!\w)(?<!\w\.){marker}(?!\w)", completion, re.IGNORECASE) is not None


def is_json(completion: str, _wanted: NoArguments) -> bool:
    """An object or a list and nothing else; a fence around it is allowed."""
    try:
        found = json.loads(_FENCE.sub("", completion.strip()).strip(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict | list)


def _refuse(constant: str) -> None:
    """NaN and Infinity are no JSON."""
    raise ValueError(constant)


KINDS: dict[str, Kind[Any]] = {
    "detectable_content:postscript": Kind(Postscript, has_postscript),
    "detectable_content:number_placeholders": Kind(Placeholders, has_so_many_placeholders),
    "detectable_format:number_bullet_lists": Kind(Bullets, has_so_many_bullets),
    "detectable_format:constrained_response": Kind(Options, chooses_an_option),
    "detectable_format:number_highlighted_sections": Kind(Highlights, has_so_many_highlights),
    "detectable_format:multiple_sections": Kind(Sections, has_so_many_sections),
    "detectable_format:json_format": Kind(NoArguments, is_json),
    "detectable_format:title": Kind(NoArguments, has_title),
}
