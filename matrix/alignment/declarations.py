"""Reading a declared TOML file into frozen values, or refusing it with file, key, value and what was expected.

Types are strict: `low = "0"` is a string, and a declaration that guesses is a declaration that hides mistakes.
Rules between fields are the caller's.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from matrix.errors import InvalidMatrix

Model = TypeVar("Model", bound=BaseModel)


def parse_toml(text: str, *, file: str) -> dict[str, Any]:
    """The file's tables; InvalidMatrix where it is no TOML or holds nothing."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidMatrix(file=file, key="(syntax)", value=str(error), expected="a TOML file") from error
    if not tables:
        raise InvalidMatrix(file=file, key="(file)", value="", expected="at least one table; the file is empty")
    return tables


def build(model: type[Model], tables: Mapping[str, Any], *, file: str, prefix: str = "") -> Model:
    """The validated model; the first problem as InvalidMatrix."""
    try:
        return model.model_validate_json(json.dumps(tables, default=str), strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        raise InvalidMatrix(
            file=file,
            key=prefix + _key(problem["loc"], tables),
            value=None if problem["type"] == "missing" else problem["input"],
            expected=_expected(model, dict(problem)),
        ) from error


def nearest(name: str, known: Sequence[str]) -> str:
    """What was expected in place of an unknown name: the nearest known one first, then all of them."""
    close = get_close_matches(name, known, n=1)
    hint = f"{close[0]!r} (did you mean that?), or " if close else ""
    return f"{hint}one of {', '.join(known)}"


def _key(location: Sequence[int | str], tables: Any) -> str:
    """`dimensions[correctness].low`: entries of a list by their declared name, where they have one."""
    key, here = "", tables
    for part in location:
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            here = None
        if isinstance(part, int):
            name = here.get("name") if isinstance(here, Mapping) else None
            key += f"[{name if isinstance(name, str) else part}]"
        else:
            key += f".{part}" if key else part
    return key


def _expected(model: type[BaseModel], problem: Mapping[str, Any]) -> str:
    location = problem["loc"]
    if problem["type"] == "extra_forbidden":
        return nearest(str(location[-1]), sorted(_fields(model, location[:-1])))
    if problem["type"] == "missing":
        return "a value: this key is required"
    return str(problem["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")


def _fields(model: type[BaseModel], location: Sequence[int | str]) -> tuple[str, ...]:
    """Names of the fields of the (nested) model that a validation error points into."""
    here: Any = model
    for part in location:
        if isinstance(part, str) and isinstance(here, type) and issubclass(here, BaseModel):
            here = here.model_fields[part].annotation
        elif isinstance(part, int):
            here = next((kind for kind in get_args(here) if isinstance(kind, type)), None)
    return tuple(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else ()
