"""The page at /docs shows a document's words as words."""

from __future__ import annotations

from infra.api_page import page


def test_what_the_document_says_is_text_and_never_markup() -> None:
    bad = '<script>"&</script>'
    example = {"value": {bad: bad}}
    operation = {
        "description": f"{bad}\n\nsecond",
        "parameters": [{"name": bad, "in": "query", "required": True, "description": bad}],
        "requestBody": {"content": {bad: {"schema": {"title": bad}, "examples": {bad: example}}}},
        "responses": {"200": {"description": bad, "content": {"a": {"example": bad}}}},
    }
    document = {
        "info": {"title": bad},
        "paths": {f"/{bad}": {"get": operation}},
        "components": {"schemas": {bad: {"title": bad}}},
    }
    made = page(document)
    assert "<script>" not in made
    assert made.count("&lt;script&gt;") >= 12
