"""What every message shares: frozen, no unknown fields, a schema version, and text that any store can hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints, model_validator

FIRST_YEAR, LAST_YEAR = 2000, 2200  # outside, a time is a fault of its sender, and some stores cannot hold it
YEARS = f"a time between the years {FIRST_YEAR} and {LAST_YEAR}"


def _in_utc(moment: datetime) -> datetime:
    if not 1 < moment.year < 9999:  # else the change of zone may leave the calendar
        raise ValueError(YEARS)
    moment = moment.astimezone(UTC)
    if not FIRST_YEAR < moment.year < LAST_YEAR:
        raise ValueError(YEARS)
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
MAX_IDENTIFIER = 128  # characters
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=MAX_IDENTIFIER, pattern=r"^[^\x00-\x1f\x7f]+$")]
TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
DEFAULT_TENANT = "default"  # of a deployment that serves one organisation
NO_TENANT = "_unknown"  # whose what states no readable tenant is: no key has this name; admins see it
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
MAX_RECORD_BYTES = 2 << 20  # of one Kafka record's value; messages are bounded below it
MAX_BATCH_BYTES = MAX_RECORD_BYTES + (64 << 10)  # with its key and framing; topics and producers are set to it


class Value(BaseModel):
    """A frozen value inside a message."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)  # tracebacks go to logs


class Message(Value):
    """A frozen payload of a topic; readers refuse a schema version they do not know."""

    schema_version: Literal[1] = 1

    @model_validator(mode="before")
    @classmethod
    def _is_storable(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and (where := unstorable(data)):
            raise ValueError(f"{where}: holds a NUL or half a surrogate pair, which no text store accepts")
        return data

    def to_payload(self) -> bytes:
        """Bytes on the wire: UTF-8 JSON."""
        return self.model_dump_json(exclude_none=True).encode()


def qualified(tenant: str, identifier: str) -> str:
    """An id that is unique across tenants; a tenant's name holds no slash, so two pairs never share one."""
    return f"{tenant}/{identifier}"


def unstorable(value: Any, where: str = "") -> str | None:
    """Path of the first string with a NUL (PostgreSQL refuses it) or a lone surrogate (UTF-8 cannot spell it)."""
    return None if _is_storable(value) else _where_unstorable(value, where)


def _where_unstorable(value: Any, where: str) -> str | None:
    if isinstance(value, str):
        return None if _is_storable(value) else where or "text"
    if isinstance(value, Mapping):
        parts = [(f"{where}.{_spelt(name)}".lstrip("."), part) for name, part in value.items()]
        parts += [(where or "field name", name) for name in value]
    elif isinstance(value, list | tuple):
        parts = [(f"{where}[{index}]", part) for index, part in enumerate(value)]
    else:
        return None
    return next((found for path, part in parts if (found := _where_unstorable(part, path))), None)


def _spelt(name: Any) -> str:
    """A name as an error may say it, whatever it is made of."""
    return _UNSTORABLE.sub("\ufffd", str(name))


def _is_storable(value: Any) -> bool:
    """Nearly everything is, so the path is not spelt before it is needed."""
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is None
    if isinstance(value, dict | Mapping):
        return _are_storable(value) and _are_storable(value.values())
    return not isinstance(value, list | tuple) or _are_storable(value)


def _are_storable(values: Iterable[Any]) -> bool:
    """Text is looked at here and not one call further: every event of the gateway comes by."""
    for value in values:
        if type(value) is str:
            if _UNSTORABLE.search(value) is not None:
                return False
        elif value is not None and not isinstance(value, bool | int | float) and not _is_storable(value):
            return False
    return True
