"""A finding of pydantic's is a field and a rule, whether its place or its words name the field."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from matrix.messages.feedback import FeedbackEvent
from matrix.validation import Finding, first_finding, named
from tests.fakes.feedback import thumb


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"value": 4}, Finding(("value",), "a thumb is true or false", "value_error", None)),
        ({"kind": "wink"}, Finding(("kind",), "Input should be 'thumb'", "enum", "wink")),
        ({"tags": {"a": 7}}, Finding(("tags", "a"), "Input should be a valid string", "string_type", 7)),
        ({"tags": {"a": "\x00"}}, Finding(("tags.a",), "holds a NUL or half", "value_error", None)),
        ({"mood": "good"}, Finding(("mood",), "Extra inputs are not permitted", "extra_forbidden", "good")),
    ],
)
def test_the_field_is_told_by_its_place_or_else_by_the_rules_own_words(
    change: dict[str, Any], finding: Finding
) -> None:
    with pytest.raises(ValidationError) as raised:
        FeedbackEvent.model_validate(thumb(**change))
    found = first_finding(raised.value)
    assert found._replace(rule="") == finding._replace(rule="")
    assert found.rule.startswith(finding.rule)


def test_words_name_no_field_where_there_is_a_place() -> None:
    assert named(("body",), "Value error, at: a time") == (("body",), "at: a time")
    assert named((), "Value error, at: a time") == (("at",), "a time")
    assert named((), "no field at all") == ((), "no field at all")
