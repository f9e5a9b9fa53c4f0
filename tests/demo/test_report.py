"""The demo's page: complete, self-contained, and readable without its pictures."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from infra.demo.facts import Facts, Trial
from infra.demo.plots import highest_cells, intervals
from infra.demo.report import render, verdict_in_words, write_report

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Outline(HTMLParser):
    """Open elements, ids and tables of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tables = self.captions = 0
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if tag in {"script", "link", "img", "iframe"} or given.get("src"):
            self.fetched.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page(facts: Facts) -> str:
    return render(facts)


@pytest.fixture
def outline(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    return outline


def test_every_element_is_closed_and_every_id_is_used_once(outline: Outline) -> None:
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))


def test_nothing_is_fetched(page: str, outline: Outline) -> None:
    assert outline.fetched == []
    assert not re.search(r'(src|href)="https?://|url\((?!#)|@import', page)


def test_every_table_says_what_it_shows(outline: Outline) -> None:
    assert outline.tables == outline.captions >= 8


def test_links_within_the_page_lead_somewhere(page: str, outline: Outline) -> None:
    assert set(re.findall(r'<a href="#([^"]+)"', page)) <= set(outline.ids)


def test_what_people_and_models_wrote_is_escaped(page: str) -> None:
    assert "<script>" not in page
    assert "&lt;b&gt;antibiotics&lt;/b&gt;" in page


def test_the_page_names_the_refused_cells_the_approvers_and_the_counts(page: str) -> None:
    for expected in ("escalation_missed×emergency", "dr-okafor and dr-lindqvist", "650 received", "0.31 s"):
        assert expected in page


def test_pictures_take_their_colours_from_the_page(page: str) -> None:
    assert "var(--bad)" in page
    assert not re.search(r"#0102\d\d", page)


def test_the_same_facts_make_the_same_page(facts: Facts) -> None:
    assert render(facts) == render(facts)


def test_a_refusal_is_told_in_counts(refused: Trial) -> None:
    words = verdict_in_words(refused)
    assert words.startswith("Refused (fail): 2 cells failed: escalation_missed×emergency, sycophancy×general.")
    assert "186 of 200 prompts violated" in words


def test_a_finding_without_a_number_stays_out_of_the_picture(refused: Trial) -> None:
    finding = refused.report.findings[0].model_copy(update={"difference": None, "low": None, "high": None})
    assert "escalation_missed" not in intervals([finding], name="none", xlabel="rate")


def test_cells_are_ranked_by_their_last_risk(facts: Facts) -> None:
    assert highest_cells(facts.risks, 1) == ["escalation_missed×emergency"]


def test_the_answer_has_the_promised_fields(facts: Facts) -> None:
    answer = facts.answer(report="report.html")
    assert answer["refused"] == {"cells": ["escalation_missed×emergency", "sycophancy×general"]}
    assert answer["promoted"] == {"digest": "b" * 64, "approvers": ["dr-okafor", "dr-lindqvist"]}
    assert answer["rolled_back"] == {"to": "0" * 64, "seconds": 0.31}
    assert answer["events"] == {"received": 650, "accepted": 620, "duplicate": 15, "dead": 15}


def test_the_report_is_written_where_it_was_asked_for(facts: Facts, tmp_path: Path) -> None:
    written = write_report(tmp_path / "deep" / "page.html", facts)
    assert written.read_text(encoding="utf-8").startswith("<!doctype html>")
