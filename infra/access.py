"""Who may do what: keys with scopes, each of one tenant. A key is shown once and stored as its SHA-256; it never
enters a log. A rotated key stays valid beside its successor for an overlap, so that no client is cut off.
An actor is a person (or a service) and has one spelling: where two people must approve, one with two would be enough.
"""

from __future__ import annotations

import re
import secrets
import threading
import unicodedata
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import func
from sqlmodel import Session, col, select

from infra.database import Database
from infra.tables import ApiKeyRow
from matrix.digests import digest_bytes
from matrix.errors import AccessDenied, DatabaseUnavailable, IllegalTransition, InvalidInput, NotFound
from matrix.messages.base import DEFAULT_TENANT, TenantName
from matrix.ports import Clock

PREFIX = "plb_"
FORM = re.compile(PREFIX + "[A-Za-z0-9_-]{43}")  # of 32 random bytes; anything else was never a key
REMEMBERED = timedelta(seconds=2)  # a key found good is not looked up again for this long; nor is its revocation seen
BELIEVED_AWAY = timedelta(minutes=5)  # so long it is believed while the database that would know does not answer
REMEMBER_MOST = 10_000
ACTORS_LOCK = 0x6163746F  # PostgreSQL's advisory locks are numbers; this is this file's
THREADS, MOST_WAITING = 4, 100  # that ask about keys, and keys that wait for an answer
NO_KEY = "the key is unknown, expired or revoked"
_TENANT: TypeAdapter[str] = TypeAdapter(TenantName)


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
    tenant: str = DEFAULT_TENANT  # whose events, completions and dead letters the key reaches
    key_id: str = ""  # names the key in counts and limits; what would let one use it is nowhere


def ensure_scope(principal: Principal, scope: Scope) -> None:
    """Raises AccessDenied unless the key carries the scope; no scope implies another."""
    if scope not in principal.scopes:
        raise AccessDenied(scope=scope, reason=f"the key of {principal.actor} does not carry it")


def tenant_name(name: str) -> str:
    """The name as it may stand in keys and events; InvalidInput otherwise."""
    try:
        return _TENANT.validate_python(name)
    except ValidationError:
        remedy = "1 to 63 of a-z, 0-9 and '-', not beginning with '-'"
        raise InvalidInput(field="tenant", value=name, remedy=remedy) from None


def actor_name(name: str) -> str:
    """The name in the one spelling that is compared (NFKC); InvalidInput otherwise."""
    actor = unicodedata.normalize("NFKC", name)
    if not actor or len(actor) > 128 or not actor.isprintable() or actor != actor.strip():
        raise InvalidInput(field="actor", value=name, remedy="1 to 128 printable characters, no space at either end")
    return actor


def _folded(actor: str) -> str:
    """Alike for names that people would read as one."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", actor).casefold()).split())


class AccessKeys:
    """Makes, checks, rotates and revokes keys."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        # With until when nobody is asked again, and until when it is believed while nobody answers.
        self._found: dict[str, tuple[Principal, datetime, datetime]] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="keys")
        self._room = threading.BoundedSemaphore(MOST_WAITING)

    def create(self, actor: str, scopes: Iterable[Scope], *, tenant: str = DEFAULT_TENANT) -> str:
        """A new key; the only time it is seen. InvalidInput for a name that is another's but for its spelling."""
        name = actor_name(actor)
        with self._database.unit_of_work() as session:
            session.exec(
                select(func.pg_advisory_xact_lock(ACTORS_LOCK))
            )  # two spellings at once would not see each other
            others = session.exec(select(ApiKeyRow.actor).where(ApiKeyRow.actor != name).distinct()).all()
            alike = next((other for other in others if _folded(other) == _folded(name)), None)
            if alike is not None:
                remedy = f"spelt {alike!r} like the keys of that person, or a name that no spelling makes theirs"
                raise InvalidInput(field="actor", value=actor, remedy=remedy)
            return self._add(session, name, scopes, tenant_name(tenant))

    def rotate(self, key_id: str, overlap: timedelta) -> str:
        """A new key with the actor, scopes and tenant of this one, which ends after the overlap.

        NotFound where there is none of this id; IllegalTransition where it is no longer valid.
        """
        now = self._clock.now()
        with self._database.unit_of_work() as session:
            row = session.get(ApiKeyRow, key_id, with_for_update=True)
            if row is None:
                raise NotFound(what="key", name=key_id)
            if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
                ended = "revoked" if row.revoked_at else "expired"
                raise IllegalTransition(what=f"key {key_id}", current=ended, wanted="rotated")
            ends = now + overlap
            row.expires_at = ends if row.expires_at is None else min(row.expires_at, ends)
            key = self._add(session, row.actor, [Scope(scope) for scope in row.scopes], row.tenant)
        self._found.clear()
        return key

    def authenticate(self, key: str | None) -> Principal:
        """Whose key this is; AccessDenied for none, an unknown, an expired or a revoked one."""
        if not key:
            raise AccessDenied(scope="any", reason="no key was sent: use the header 'Authorization: Bearer <key>'")
        if FORM.fullmatch(key) is None:  # the database need not be asked
            raise AccessDenied(scope="any", reason=NO_KEY)
        sha256, now = digest_bytes(key.encode(errors="replace")), self._clock.now()
        remembered = self._found.get(sha256)
        if remembered is not None and now < remembered[1]:
            return remembered[0]
        return self.check(key)

    def check(self, key: str) -> Principal:
        """The same, asked of the database whatever is remembered."""
        sha256, now = digest_bytes(key.encode(errors="replace")), self._clock.now()
        try:
            principal, expires_at = self._look_up(sha256, now)
        except AccessDenied:
            self._found.pop(sha256, None)
            raise
        except DatabaseUnavailable:
            believed = self.believed(key)
            if believed is None:
                raise
            return believed
        if len(self._found) >= REMEMBER_MOST:
            self._found.clear()
        ends = [] if expires_at is None else [expires_at]
        self._found[sha256] = (principal, min([now + REMEMBERED, *ends]), min([now + BELIEVED_AWAY, *ends]))
        return principal

    def check_soon(self, key: str) -> Future[Principal]:
        """The same in a thread that does nothing else: a database that hangs holds up no other work of the process.

        DatabaseUnavailable where too many keys wait already. A wait that is given up keeps its place until the
        database has answered, so what waits is bounded however long it hangs.
        """
        if not self._room.acquire(blocking=False):
            raise DatabaseUnavailable(f"{MOST_WAITING} keys wait for an answer already")
        asked = self._threads.submit(self.check, key)
        asked.add_done_callback(lambda _: self._room.release())
        return asked

    def believed(self, key: str) -> Principal | None:
        """Whose key this was a few minutes ago, for while the database is asked or does not answer.

        It is remembered for a while: whoever comes in the meantime does not ask as well.
        """
        sha256, now = digest_bytes(key.encode(errors="replace")), self._clock.now()
        found = self._found.get(sha256)
        if found is None or now >= found[2]:
            return None
        self._found[sha256] = (found[0], min(now + REMEMBERED, found[2]), found[2])
        return found[0]

    def remembered(self, key: str) -> Principal | None:
        """Whose key this is where that is known without asking the database: never blocks."""
        found = self._found.get(digest_bytes(key.encode(errors="replace")))
        return found[0] if found is not None and self._clock.now() < found[1] else None

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

    def _add(self, session: Session, actor: str, scopes: Iterable[Scope], tenant: str) -> str:
        key = PREFIX + secrets.token_urlsafe(32)
        row = {
            "key_id": secrets.token_hex(6),
            "sha256": digest_bytes(key.encode()),
            "actor": actor,
            "tenant": tenant,
            "scopes": sorted(set(scopes)),
            "created_at": self._clock.now(),
        }
        session.add(ApiKeyRow.model_validate(row))
        return key

    def _look_up(self, sha256: str, now: datetime) -> tuple[Principal, datetime | None]:
        valid = ApiKeyRow.sha256 == sha256, col(ApiKeyRow.revoked_at).is_(None)
        with self._database.unit_of_work() as session:
            row = session.exec(select(ApiKeyRow).where(*valid)).one_or_none()
        if row is None or (row.expires_at is not None and row.expires_at <= now):
            raise AccessDenied(scope="any", reason=NO_KEY)
        scopes = frozenset(Scope(scope) for scope in row.scopes)
        return Principal(row.actor, scopes, row.tenant, row.key_id), row.expires_at
