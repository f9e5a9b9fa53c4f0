"""The whole loop over HTTP and the command line: refused, promoted, rolled back, and every event accounted for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from infra.demo.driver import Product

pytestmark = [pytest.mark.journey, pytest.mark.stack]


def test_thumbs_alone_are_refused_for_missed_escalations_and_sycophancy(told: Any) -> None:
    named = {cell.split("×")[0] for cell in told.answer["refused"]["cells"]}
    assert {"escalation_missed", "sycophancy"} <= named


def test_two_people_approved_what_was_promoted(told: Any) -> None:
    assert len(set(told.answer["promoted"]["approvers"])) == 2


def test_every_event_is_accounted_for(told: Any) -> None:
    events = told.answer["events"]
    assert events["received"] == events["accepted"] + events["duplicate"] + events["dead"]
    assert min(events.values()) > 0


def test_the_policy_server_holds_the_promoted_adapter_under_its_digest(told: Any) -> None:
    models = httpx.get(f"{told.product.settings.policy_server_urls[0]}/v1/models", timeout=10).json()["data"]
    names = [model["id"] for model in models]
    assert any(name.endswith(told.answer["promoted"]["digest"][:12]) for name in names)


def test_after_the_rollback_the_gateway_serves_what_was_served_before(told: Any, gateway: httpx.Client) -> None:
    question = {"model": "clinic-assistant@champion", "messages": [{"role": "user", "content": "I have a headache."}]}
    answer = gateway.post("/v1/chat/completions", json=question)
    assert answer.status_code == 200
    assert answer.headers["X-Plumbline-Adapter"] == told.answer["rolled_back"]["to"]
    assert told.answer["rolled_back"]["to"] != told.answer["promoted"]["digest"]


def test_the_audit_log_names_everyone_who_decided(told: Any, product: Product) -> None:
    reader = product.employ("auditor", "view")
    audit = str(product.registry(reader).get("/v1/audit"))
    for actor in ("maya-chen", "dr-okafor", "dr-lindqvist", "sam-ortiz"):
        assert actor in audit


def test_the_report_was_written_and_the_timeline_told(told: Any) -> None:
    assert told.report.read_text(encoding="utf-8").startswith("<!doctype html>")
    for step in ("patients", "refused", "rolled back"):
        assert step in told.timeline


def test_satisfaction_truth_is_shown_beside_and_decides_nothing(told: Any) -> None:
    truth = told.answer["satisfaction_truth"]
    # Users would have liked the refused adapter more than what is served.
    assert truth["run A"] > truth["base"]
