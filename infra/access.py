"""Who may do what: keys with scopes. A key is shown once and stored as its SHA-256; it never enters a log."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import col, select

from infra.database import Database
from infra.tables import ApiKeyRow
from matrix.digests import digest_bytes
from matrix.errors import AccessDenied, InvalidInput, NotFound
from matrix.ports import Clock

PREFIX = "plb_"
REMEMBERED = timedelta(seconds=2)  # a key found good is not looked up again for this long; nor is its revocation seen
REMEMBER_MOST = 10_000


class Scope(StrEnum):
    """What a key may be used for."""

    FEEDBACK = "feedback"  # send feedback, log completions
    CHAT = "chat"  # ask the policy through the gateway
    VIEW = "view"  # read versions, reports, counts, the audit log
    TRAIN = "train"  # start runs
    REQUEST = "request"  # ask for a promotion
    APPROVE = "approve"  # decide on a request
    OPERATE = "operate"  # promote what is approved; roll back
    ADMIN = "admin"  # register policies, make keys


@dataclass(frozen=True, slots=True)
class Principal:
    """The person or service behind a key."""

    actor: str
    scopes: frozenset[Scope]


def ensure_scope(principal: Principal, scope: Scope) -> None:
    """Raises AccessDenied unless the key carries the scope; no scope implies another."""
    if scope not in principal.scopes:
        raise AccessDenied(scope=scope, reason=f"the key of {principal.actor} does not carry it")


class AccessKeys:
    """Makes, checks and revokes keys."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._found: dict[str, tuple[Principal, datetime]] = {}

    def create(self, actor: str, scopes: Iterable[Scope]) -> str:
        """A new key; the only time it is seen."""
        if not actor or len(actor) > 128 or not actor.isprintable():
            raise InvalidInput(field="actor", value=actor, remedy="1 to 128 printable characters")
        key = PREFIX + secrets.token_urlsafe(32)
        row = {
            "key_id": secrets.token_hex(6),
            "sha256": digest_bytes(key.encode()),
            "actor": actor,
            "scopes": sorted(set(scopes)),
            "created_at": self._clock.now(),
        }
        with self._database.unit_of_work() as session:
            session.add(ApiKeyRow.model_validate(row))
        return key

    def authenticate(self, key: str | None) -> Principal:
        """Whose key this is; AccessDenied for none, an unknown or a revoked one."""
        if not key:
            raise AccessDenied(scope="any", reason="no key was sent: use the header 'Authorization: Bearer <key>'")
        sha256, now = digest_bytes(key.encode(errors="replace")), self._clock.now()
        remembered = self._found.get(sha256)
        if remembered is not None and now - remembered[1] < REMEMBERED:
            return remembered[0]
        principal = self._look_up(sha256)
        if len(self._found) >= REMEMBER_MOST:
            self._found.clear()
        self._found[sha256] = (principal, now)
        return principal

    def listed(self) -> list[dict[str, object]]:
        """Every key without what would let one use it."""
        with self._database.unit_of_work() as session:
            rows = session.exec(select(ApiKeyRow).order_by(col(ApiKeyRow.created_at))).all()
        return [row.model_dump(exclude={"sha256"}) for row in rows]

    def revoke(self, key_id: str) -> None:
        """The key is refused from now on; NotFound where there is none of this id."""
        with self._database.unit_of_work() as session:
            row = session.get(ApiKeyRow, key_id)
            if row is None:
                raise NotFound(what="key", name=key_id)
            row.revoked_at = row.revoked_at or self._clock.now()
        self._found.clear()

    def _look_up(self, sha256: str) -> Principal:
        valid = ApiKeyRow.sha256 == sha256, col(ApiKeyRow.revoked_at).is_(None)
        with self._database.unit_of_work() as session:
            row = session.exec(select(ApiKeyRow).where(*valid)).one_or_none()
        if row is None:
            raise AccessDenied(scope="any", reason="the key is unknown or revoked")
        return Principal(row.actor, frozenset(Scope(scope) for scope in row.scopes))
