"""The page at /docs: every operation of an HTTP side, made from its OpenAPI document, in need of nothing but itself.

Swagger UI and its like are loaded from elsewhere and stay blank where a deployment has no way out. Left out: sending
requests from the page; the document itself is linked for tools that do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
h2 { margin-top: 2.5rem; border-top: 1px solid #bbb; padding-top: 1rem; font-size: 1.15rem; }
pre { background: #f3f3f3; padding: .75rem; overflow-x: auto; font-size: .85rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top; }
"""
Said = Mapping[str, Any]  # a part of the document


def page(document: Said) -> str:
    """HTML."""
    title = escape(document["info"]["title"])
    operations = [
        (method.upper(), path, said) for path, one in document["paths"].items() for method, said in one.items()
    ]
    schemas = document.get("components", {}).get("schemas", {})
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{STYLE}</style></head><body><main><h1>{title}</h1>",
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p><ul>',
        *(f'<li><a href="#{_anchor(method, path)}">{method} {escape(path)}</a></li>' for method, path, _ in operations),
        "</ul>",
        *(part for operation in operations for part in _operation(*operation)),
        *(f'<h2 id="{escape(name)}">{escape(name)}</h2>{_json(schema)}' for name, schema in schemas.items()),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def _operation(method: str, path: str, said: Said) -> Iterator[str]:
    yield f'<h2 id="{_anchor(method, path)}"><code>{method} {escape(path)}</code></h2>'
    for paragraph in said.get("description", "").split("\n\n"):
        yield f"<p>{escape(paragraph)}</p>"
    if said.get("parameters"):
        rows = "".join(map(_parameter, said["parameters"]))
        yield f"<table><tr><th>parameter</th><th>in</th><th></th></tr>{rows}</table>"
    for kind, body in said.get("requestBody", {}).get("content", {}).items():
        yield f"<h3>Body ({escape(kind)})</h3>"
        yield from _body(body)
    yield "<h3>Answers</h3>"
    yield f"<table>{''.join(_answer(code, answer) for code, answer in sorted(said['responses'].items()))}</table>"


def _parameter(said: Said) -> str:
    words = ["required"] if said.get("required") else []
    words += [said["description"]] if "description" in said else []
    name = f"<code>{escape(said['name'])}</code>"
    return f"<tr><td>{name}</td><td>{escape(said['in'])}</td><td>{escape('; '.join(words))}</td></tr>"


def _body(said: Said) -> Iterator[str]:
    for name, example in said.get("examples", {}).items():
        yield f"<details><summary>Example: {escape(name)}</summary>{_json(example.get('value'))}</details>"
    if "schema" in said:
        yield f"<details><summary>Schema</summary>{_json(said['schema'])}</details>"


def _answer(code: str, said: Said) -> str:
    shown = [_json(body["example"]) for body in said.get("content", {}).values() if "example" in body]
    return f"<tr><td><code>{escape(code)}</code></td><td>{escape(said['description'])}{''.join(shown)}</td></tr>"


def _anchor(method: str, path: str) -> str:
    return escape(f"{method.lower()}{path}", quote=True)


def _json(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>"
