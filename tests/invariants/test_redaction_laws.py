"""Laws of redaction: twice is once, nothing structured survives, and nothing but findings changes."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.redaction import redactor, rules
from ingest.redaction.findings import KEPT, PLACEHOLDER, Finding, Kind, resolve

STRUCTURED = st.sampled_from(
    [
        "jane.doe@example.org",
        "+44 20 7946 0958",
        "4111 1111 1111 1111",
        "GB82 WEST 1234 5698 7654 32",
        "123-45-6789",
        "943 476 5919",
        "192.0.2.17",
        "https://example.org/?token=a1",
        "3 May 1956",
        "12/31/1956",
    ]
)
NAMING = STRUCTURED | st.sampled_from(
    [
        "Jane Doe",
        "Mr. Okonkwo",
        "my name is jane",
        "12 Main Street, Springfield 12345",
        "Acme Widgets Inc",
        "Utrecht",
    ]
)
HARMLESS = st.sampled_from(
    [
        "take",
        "400 mg",
        "call",
        "112",
        "The",
        "Dr",
        "and",
        "from",
        "in",
        "born",
        "<EMAIL>",
        "<PERSON>",
        "<",
        ">",
        "<EM",
        "12",
    ]
)
GAPS = st.sampled_from([" ", ", ", ". ", "\n", "\n\n", "", "-", ":", "'s ", "@", '"'])


@st.composite
def texts(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.tuples(NAMING | HARMLESS | st.text(max_size=12), GAPS), max_size=14))
    return "".join(part + gap for part, gap in parts)


@pytest.mark.slow
@settings(max_examples=600)
@given(texts())
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redactor.redact(text)
    assert redactor.redact(once) == once


@given(texts())
def test_nothing_that_is_replaced_is_found_again(text: str) -> None:
    assert not [one for one in rules.find(redactor.redact(text)) if one.kind not in KEPT]


@given(texts())
def test_the_rest_of_the_text_stays_letter_by_letter(text: str) -> None:
    redacted, findings = redactor.traced(text)
    rebuilt, at = [], 0
    for one in findings:
        if one.kind not in KEPT:
            rebuilt += [text[at : one.start], f"<{one.kind}>"]
            at = one.end
    assert "".join([*rebuilt, text[at:]]) == redacted == redactor.redact(text)


@given(texts())
def test_findings_never_overlap_each_other_or_a_placeholder(text: str) -> None:
    findings = rules.find(text)
    marks = [mark.span() for mark in PLACEHOLDER.finditer(text)]
    ends = sorted([*((one.start, one.end) for one in findings), *marks])
    assert all(end <= start for (_, end), (start, _) in pairwise(ends))
    assert all(one.start < one.end for one in findings)


@pytest.mark.slow
@settings(max_examples=400)
@given(texts())
def test_the_prefilter_loses_no_finding(text: str) -> None:
    assert rules.find(text) == rules.find_thoroughly(text)


BESIDE = st.text(max_size=20) | st.text("0123456789 .,-:;()aZ", max_size=20)


@pytest.mark.slow
@settings(max_examples=600)
@given(BESIDE, STRUCTURED, BESIDE)
def test_structured_findings_survive_in_no_surroundings(before: str, said: str, after: str) -> None:
    assert said not in redactor.redact(f"{before} {said} {after}")


@given(st.integers(0, 20), st.integers(1, 20), st.integers(0, 20), st.integers(1, 20))
def test_the_sure_stand_before_the_likely_and_the_longer_before_the_shorter(a: int, m: int, b: int, n: int) -> None:
    likely, sure = Finding(a, a + m, Kind.PHONE), Finding(b, b + n, Kind.CARD, sure=True)
    kept = resolve("x" * 60, [likely, sure])
    assert sure in kept
    assert (likely in kept) == (likely.end <= sure.start or sure.end <= likely.start)


def test_a_text_that_never_settles_is_withheld_whole() -> None:
    def first_letter(text: str) -> list[Finding]:
        found = re.search(r"[a-z]", text)
        return [Finding(found.start(), found.end(), Kind.PERSON)] if found else []

    assert redactor.redact("abcdefghijklmnopqrstuvwxyz", first_letter) == "<REDACTED>"
    assert redactor.redact("<REDACTED>") == "<REDACTED>"
