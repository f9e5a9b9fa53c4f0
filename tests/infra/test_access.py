"""Keys: shown once, stored hashed, refused without the scope."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from infra.access import REMEMBERED, AccessKeys, Principal, Scope, actor_name, ensure_scope
from infra.database import Database
from infra.tables import ApiKeyRow
from matrix.errors import AccessDenied, IllegalTransition, InvalidInput, NotFound
from tests.fakes.clock import FakeClock


@pytest.fixture
def keys(database: Database, clock: FakeClock) -> AccessKeys:
    return AccessKeys(database, clock)


def test_a_key_names_its_actor_and_scopes(keys: AccessKeys) -> None:
    principal = keys.authenticate(keys.create("ana", [Scope.APPROVE, Scope.VIEW], tenant="north"))
    key_id = str(keys.listed()[0]["key_id"])
    assert principal == Principal("ana", frozenset({Scope.APPROVE, Scope.VIEW}), "north", key_id)


def test_a_key_of_no_stated_tenant_is_the_deployments_own(keys: AccessKeys) -> None:
    assert keys.authenticate(keys.create("ana", [Scope.VIEW])).tenant == "default"


def rotated(keys: AccessKeys, overlap: timedelta) -> tuple[str, str]:
    old = keys.create("ana", [Scope.APPROVE, Scope.VIEW], tenant="north")
    return old, keys.rotate(keys.authenticate(old).key_id, overlap)


def test_a_rotated_key_has_a_successor_that_may_do_the_same(keys: AccessKeys) -> None:
    old, new = (keys.authenticate(key) for key in rotated(keys, timedelta(hours=24)))
    assert (new.actor, new.scopes, new.tenant) == (old.actor, old.scopes, old.tenant)
    assert new.key_id != old.key_id


def test_old_and_new_are_valid_through_the_overlap_and_then_only_the_new_one(
    keys: AccessKeys, clock: FakeClock
) -> None:
    old, new = rotated(keys, timedelta(hours=24))
    clock.advance(timedelta(hours=24) - timedelta(microseconds=1))
    assert keys.authenticate(old).actor == keys.authenticate(new).actor  # and is remembered from now on
    clock.advance(timedelta(microseconds=1))
    with pytest.raises(AccessDenied, match="expired"):
        keys.authenticate(old)
    assert keys.authenticate(new).actor == "ana"


def test_rotating_again_never_lengthens_the_life_of_the_old_key(keys: AccessKeys, clock: FakeClock) -> None:
    old, _ = rotated(keys, timedelta(minutes=1))
    keys.rotate(keys.authenticate(old).key_id, timedelta(days=9))
    clock.advance(timedelta(minutes=1))
    with pytest.raises(AccessDenied):
        keys.authenticate(old)


def test_only_a_valid_key_can_be_rotated(keys: AccessKeys) -> None:
    key_id = keys.authenticate(keys.create("ana", [Scope.VIEW])).key_id
    keys.revoke(key_id)
    with pytest.raises(IllegalTransition, match="revoked"):
        keys.rotate(key_id, timedelta(0))
    with pytest.raises(NotFound):
        keys.rotate("nobody", timedelta(0))


@pytest.mark.parametrize("tenant", ["", "North", "-a", "a/b", "a" * 64, "a\n"])
def test_a_tenant_has_a_name_that_ids_can_be_qualified_with(keys: AccessKeys, tenant: str) -> None:
    with pytest.raises(InvalidInput, match="tenant"):
        keys.create("ana", [Scope.VIEW], tenant=tenant)


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


@pytest.mark.parametrize(
    "actor", ["", "a\nb", "maya-chen ", " maya-chen", "maya-chen\u00a0", "ma\u200bya-chen", "maya-chen\x7f", "m" * 129]
)
def test_an_actor_needs_a_printable_name_without_space_around_it(keys: AccessKeys, actor: str) -> None:
    with pytest.raises(InvalidInput, match="actor"):
        keys.create(actor, [Scope.VIEW])


@pytest.mark.parametrize("spelling", ["Maya-Chen", "MAYA-CHEN", "\uff2daya-chen"])
@pytest.mark.parametrize("tenant", ["default", "north"])
def test_one_person_has_one_spelling(keys: AccessKeys, spelling: str, tenant: str) -> None:
    keys.create("maya-chen", [Scope.REQUEST])
    with pytest.raises(InvalidInput, match="spelt 'maya-chen'"):
        keys.create(spelling, [Scope.APPROVE], tenant=tenant)


def test_a_person_may_have_several_keys_and_they_name_one_actor(keys: AccessKeys) -> None:
    composed, taken_apart = "Zo\u00eb", "Zoe\u0308"
    found = [keys.authenticate(keys.create(actor, [Scope.VIEW])).actor for actor in (composed, taken_apart)]
    assert found == [composed, composed]


def test_a_revoked_keys_actor_keeps_the_name(keys: AccessKeys) -> None:
    keys.revoke(keys.authenticate(keys.create("ana", [Scope.APPROVE])).key_id)
    with pytest.raises(InvalidInput, match="actor"):
        keys.create("Ana", [Scope.APPROVE])


@given(name=st.text(min_size=1, max_size=12))
def test_a_name_that_is_taken_as_it_is_is_taken_the_same_again(name: str) -> None:
    try:
        actor = actor_name(name)
    except InvalidInput:
        return
    assert actor_name(actor) == actor
