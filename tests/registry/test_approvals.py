"""What decisions add up to, in whatever order and by whomever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import ApprovalRefused, ApprovalVoid, IllegalTransition
from registry.approvals import Binding, Decision, Request, RequestStatus, decide, ensure_approved, standing

SEEN = Binding(
    adapter_digest="a",
    report_digest="r",
    route="p@champion",
    champion_digest="c",
    matrix_sha256="m",
    prompts_sha256="g",
    knowledge_sha256="k",
)
REQUEST = Request(request_id="1", requester="rob", author="ann", approvals_needed=2, binding=SEEN)
people = st.sampled_from(["ann", "rob", "bea", "cas", "dan"])
words = st.lists(st.tuples(people, st.sampled_from(["approve", "approve", "reject"])), max_size=8)


@given(said=words)
def test_only_two_others_who_all_approve_open_the_way(said: list[tuple[str, str]]) -> None:
    request, counted = REQUEST, dict[str, str]()
    for actor, word in said:
        decision = Decision.model_validate({"actor": actor, "word": word, "reason": "r", "binding": SEEN})
        try:
            request = decide(request, decision)
        except (ApprovalRefused, IllegalTransition):
            continue
        counted[actor] = word
    assert not {"ann", "rob"} & set(counted)
    approved = list(counted.values()).count("approve") >= 2 and "reject" not in counted.values()
    assert (request.status is RequestStatus.APPROVED) == approved
    assert standing(request, request.decisions[::-1]) is request.status


@pytest.mark.parametrize("name", list(Binding.model_fields))
def test_any_change_voids(name: str) -> None:
    decisions = tuple(Decision(actor=actor, word="approve", reason="r", binding=SEEN) for actor in ("bea", "cas"))
    request = REQUEST.model_copy(update={"decisions": decisions, "status": RequestStatus.APPROVED})
    ensure_approved(request, SEEN)
    with pytest.raises(ApprovalVoid, match=name.replace("_", " ")):
        ensure_approved(request, SEEN.model_copy(update={name: "other"}))
