"""The story, step by step. Each step looks at what the running system did; one that did not happen ends the story.

base → stack → people → patients → snapshot → run A → refused → counted → run B → passed
     → approved → promoted → rolled back

Counted is late because feedback on completions that nobody logs waits a minute before it is set aside; run A need not.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from infra.demo import champion, counting, decisions, evidence, snapshots, trials
from infra.demo.base import Ground, ensure_ground
from infra.demo.driver import Product, wait_for
from infra.demo.facts import BeforeAfter, Counts, Facts, Trial
from infra.demo.patients import VISITS_PER_PATIENT, receive_patients
from infra.demo.people import Cast, hire
from infra.demo.snapshots import Cut
from infra.demo.staging import demo_settings, prepare_home, staged
from infra.demo.timeline import Timeline
from infra.demo.visits import Clinic

RECIPES = Path(__file__).parent / "recipes"
THUMBS, MATRIX_RUN = RECIPES / "thumbs.toml", RECIPES / "matrix_run.toml"


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    seed: int
    patients: int
    home: Path
    cache: Path
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """What every step has at hand."""

    plan: Plan
    timeline: Timeline
    ground: Ground
    product: Product
    cast: Cast


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the patients left: the first half of the story."""

    clinic: Clinic
    cut: Cut


@dataclass(frozen=True, slots=True)
class Trials:
    """Both runs with the gate's word on each."""

    run_a: Trial
    run_b: Trial


def tell(plan: Plan, timeline: Timeline) -> Facts:
    """The whole story; the stack is ended on the way out unless it is to be kept."""
    prepare_home(plan.home, cache=plan.cache)
    with timeline.step("base") as step:
        ground = ensure_ground(plan.cache, seed=plan.seed, tell=timeline.note)
        step.happened(f"model {ground.digest[:12]}, {'cached' if ground.was_cached else 'fitted'}")
    with ExitStack() as ending:
        with timeline.step("stack") as step:
            running = staged(
                plan.home,
                cache=plan.cache,
                base_model=ground.base_model,
                settings=demo_settings(ground, visits=plan.patients * VISITS_PER_PATIENT),
                keep=plan.keep,
            )
            product = ending.enter_context(running)
            step.happened("Kafka, PostgreSQL, Redis and the product's processes answer")
        with timeline.step("people") as step:
            cast = hire(product)
            champion.register_base(product, cast, digest=ground.digest)
            step.happened("seven keys made; the base model is version 0 and champion")
        room = Room(plan, timeline, ground, product, cast)
        gathered = _gather(room)
        run_a = _refuse(room, gathered.cut)
        counts = _count(room, gathered.clinic)
        run_b = _pass(room, gathered.cut)
        return _decide(room, gathered, counts, Trials(run_a, run_b))


def _gather(room: Room) -> Gathered:
    with room.timeline.step("patients") as step:
        clinic = receive_patients(
            room.product, room.cast, room.ground, seed=room.plan.seed, patients=room.plan.patients
        )
        sent = sum(clinic.tally.kinds.values())
        step.happened(
            f"{clinic.tally.completions:,} completions, {sent:,} pieces of feedback, some early, late or twice"
        )
    with room.timeline.step("snapshot") as step:
        cut = snapshots.wait_for_snapshot(room.product, room.cast)
        step.happened(f"{cut.rows:,} rows, cut because: {cut.reason}")
    return Gathered(clinic, cut)


def _refuse(room: Room, cut: Cut) -> Trial:
    with room.timeline.step("run A") as step:
        trial = trials.try_recipe(room.product, room.cast, label="A", recipe=THUMBS, snapshot_uri=cut.uri)
        step.happened(f"thumbs alone: adapter {trial.digest[:12]} trained and judged")
    with room.timeline.step("refused") as step:
        cells = trials.must_be_refused(trial.report)
        decisions.must_not_be_promotable(room.product, room.cast, trial)
        step.happened(f"the gate refuses it: {', '.join(cells)}")
    return trial


def _count(room: Room, clinic: Clinic) -> Counts:
    with room.timeline.step("counted") as step:
        counts = counting.settled_counts(room.product, room.cast, clinic.tally)
        step.happened(
            f"{counts.received:,} received = {counts.accepted:,} accepted + {counts.duplicate:,} duplicate"
            f" + {counts.dead:,} set aside"
        )
    return counts


def _pass(room: Room, cut: Cut) -> Trial:
    with room.timeline.step("run B") as step:
        trial = trials.try_recipe(room.product, room.cast, label="B", recipe=MATRIX_RUN, snapshot_uri=cut.uri)
        step.happened(f"the matrix with the safety constraint: adapter {trial.digest[:12]} trained and judged")
    with room.timeline.step("passed") as step:
        trials.must_pass(trial.report)
        step.happened(f"the gate passes it on {len(trial.report.findings)} findings")
    return trial


def _decide(room: Room, gathered: Gathered, counts: Counts, tried: Trials) -> Facts:
    product, cast, run_b = room.product, room.cast, tried.run_b
    with room.timeline.step("approved") as step:
        request = decisions.ask_for_promotion(product, cast, run_b)
        refused_approval = decisions.must_not_approve_own(product, cast, request)
        approvers = decisions.approve_by_two(product, cast, request)
        step.happened(f"by {' and '.join(approvers)}; the author was refused")
    shown = evidence.compare(product, tried.run_a, run_b)
    question = evidence.telling_question(shown.rows)
    with room.timeline.step("promoted") as step:
        before = _answered(room, question, room.ground.digest)
        promoted = decisions.promote(product, cast, request, run_b)
        after = _answered(room, question, run_b.digest)
        step.happened(f"adapter {run_b.digest[:12]} is served and proven, {promoted.seconds:.2f} s")
    with room.timeline.step("rolled back") as step:
        rolled_back = decisions.roll_back(product, cast, to=room.ground.digest)
        again = _answered(room, question, room.ground.digest)
        decisions.must_be_same(before, again)
        step.happened(f"to {rolled_back.digest[:12]}, proven again, {rolled_back.seconds:.2f} s")
    audit, chain = evidence.read_audit(product, cast)
    return Facts(
        seed=room.plan.seed,
        patients=room.plan.patients,
        base_digest=room.ground.digest,
        completions=gathered.clinic.tally.completions,
        sent=dict(gathered.clinic.tally.kinds.most_common()),
        irregular=gathered.clinic.tally.irregular(),
        counts=counts,
        snapshot_uri=gathered.cut.uri,
        snapshot_rows=gathered.cut.rows,
        snapshot_reason=gathered.cut.reason,
        risks=evidence.read_risks(product, cast),
        run_a=tried.run_a,
        run_b=run_b,
        approvers=approvers,
        refused_approval=refused_approval,
        promoted=promoted,
        rolled_back=rolled_back,
        question=BeforeAfter(question, before, after, again),
        answers=shown.rows,
        satisfaction=shown.satisfaction,
        weighings=evidence.read_weighings(product, run_b),
        audit=audit,
        audit_chain=chain,
        steps=tuple(room.timeline.steps),
    )


def _answered(room: Room, question: str, digest: str) -> str:
    """The champion's completion, once the gateway follows the route to that digest."""
    reply = wait_for(
        f"the gateway to serve {digest[:12]}",
        lambda: champion.is_served(champion.ask(room.product, room.cast.clinic_chat, question), digest),
        patience_s=champion.ROUTE_PATIENCE_S,
    )
    return reply.completion
