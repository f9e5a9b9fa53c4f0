"""Keys: shown once, stored hashed, refused without the scope."""

from __future__ import annotations

import pytest
from sqlmodel import select

from infra.access import REMEMBERED, AccessKeys, Principal, Scope, ensure_scope
from infra.database import Database
from infra.tables import ApiKeyRow
from matrix.errors import AccessDenied, InvalidInput, NotFound
from tests.fakes.clock import FakeClock


@pytest.fixture
def keys(database: Database, clock: FakeClock) -> AccessKeys:
    return AccessKeys(database, clock)


def test_a_key_names_its_actor_and_scopes(keys: AccessKeys) -> None:
    principal = keys.authenticate(keys.create("ana", [Scope.APPROVE, Scope.VIEW]))
    assert principal == Principal("ana", frozenset({Scope.APPROVE, Scope.VIEW}))


def test_the_key_itself_is_stored_nowhere(keys: AccessKeys, database: Database) -> None:
    key = keys.create("ana", [Scope.VIEW])
    with database.unit_of_work() as session:
        row = session.exec(select(ApiKeyRow)).one()
    assert key not in str(row.model_dump())
    assert key not in str(keys.listed())


@pytest.mark.parametrize("key", [None, "", "plb_unknown", "plb_\x00"])
def test_no_key_and_unknown_keys_are_refused(keys: AccessKeys, key: str | None) -> None:
    with pytest.raises(AccessDenied):
        keys.authenticate(key)


def test_a_revoked_key_is_refused_and_an_unknown_one_cannot_be_revoked(keys: AccessKeys) -> None:
    key = keys.create("ana", [Scope.VIEW])
    keys.revoke(str(keys.listed()[0]["key_id"]))
    with pytest.raises(AccessDenied, match="revoked"):
        keys.authenticate(key)
    with pytest.raises(NotFound):
        keys.revoke("nobody")


def test_a_revocation_elsewhere_is_seen_within_seconds(keys: AccessKeys, database: Database, clock: FakeClock) -> None:
    elsewhere = AccessKeys(database, clock)
    key = keys.create("ana", [Scope.VIEW])
    keys.authenticate(key)
    elsewhere.revoke(str(keys.listed()[0]["key_id"]))
    clock.advance(REMEMBERED)
    with pytest.raises(AccessDenied, match="revoked"):
        keys.authenticate(key)


def test_no_scope_implies_another(keys: AccessKeys) -> None:
    principal = keys.authenticate(keys.create("root", [Scope.ADMIN]))
    with pytest.raises(AccessDenied, match="approve"):
        ensure_scope(principal, Scope.APPROVE)


def test_an_actor_needs_a_printable_name(keys: AccessKeys) -> None:
    with pytest.raises(InvalidInput, match="actor"):
        keys.create("a\nb", [Scope.VIEW])
