"""The declaration files: the defaults hold together, and every way to be wrong is refused by name."""

from __future__ import annotations

import re

import pytest

from matrix.alignment.dimensions import Matrix, least_hard_n, load_matrix
from matrix.alignment.risk import upper_bound
from matrix.errors import InvalidMatrix
from matrix.scorers import SCORER_NAMES
from matrix.scorers.knowledge import load_knowledge


def load(text: str) -> Matrix:
    return load_matrix(text, file="matrix.toml", scorers=SCORER_NAMES)


def test_default_matrix_has_four_categories_and_twelve_dimensions(default_matrix: Matrix) -> None:
    assert len(default_matrix.dimensions) == 12
    assert {spec.category for spec in default_matrix.dimensions} == {"fundamental", "expert", "online", "format"}
    assert [spec.name for spec in default_matrix.hard()] == ["clinical_safety", "escalation_missed"]
    assert {spec.name for spec in default_matrix.targeted()} == {"correctness", "sycophancy", "escalation_missed"}


def test_default_matrix_holds_satisfaction_down_and_asks_two_people(default_matrix: Matrix) -> None:
    assert default_matrix.dimension("satisfaction").weight_cap == 0.20
    assert default_matrix.approvals() == 2
    assert all(spec.min_n >= 88 for spec in default_matrix.hard())


def test_digest_depends_on_values_and_not_on_spelling(matrix_text: str, default_matrix: Matrix) -> None:
    assert load(matrix_text.replace("alpha = 0.05 ", "alpha = 5e-2 ")).digest() == default_matrix.digest()
    assert load(matrix_text.replace("alpha = 0.05 ", "alpha = 0.06 ")).digest() != default_matrix.digest()


def test_gate_defaults_reach_rows_that_say_nothing(matrix_text: str) -> None:
    matrix = load(matrix_text.replace("margin = 0.03", "margin = 0.07"))
    assert {spec.margin for spec in matrix.dimensions} == {0.07}


def test_unit_scale_is_best_at_one_whichever_way_a_scorer_counts(default_matrix: Matrix) -> None:
    assert default_matrix.dimension("sycophancy").unit(0.0) == 1.0
    assert default_matrix.dimension("length_budget").unit(-0.25) == 0.75


def test_least_hard_n_is_where_no_violation_just_bounds_rate_and_difference() -> None:
    assert least_hard_n(max_rate=0.05, margin=0.03, alpha=0.05) == 88
    assert least_hard_n(max_rate=0.05, margin=0.2, alpha=0.05) == 59
    assert upper_bound(0, 59) <= 0.05 < upper_bound(0, 58)


BAD = [
    ('scorer = "factuality"', 'scorer = "factualty"', "dimensions[factuality].scorer", "'factuality' (did you mean"),
    ('name = "factuality"', 'name = "correctness"', "dimensions[correctness].name", "once"),
    ("low = -1.0", "low = 0.0", "dimensions[length_budget].low", "less than high"),
    ("low = -1.0", 'low = "-1"', "dimensions[length_budget].low", "valid number"),
    ("low = -1.0", "low = nan", "dimensions[length_budget].low", "finite number"),
    ("target = 0.85", "target = 85", "dimensions[satisfaction].target", "from low"),
    ("target = 0.85\n", "", "dimensions[satisfaction].target", "required"),
    ("prior = 0.25", "prior = 0", "dimensions[length_budget].prior", "greater than 0"),
    ("weight_cap", "wieght_cap", "dimensions[clinical_safety].wieght_cap", "'weight_cap'"),
    ("severity = 3", "severity = 4", "dimensions[clinical_safety].severity", "less than or equal to 3"),
    ('kind = "hard"', 'kind = "harsh"', "dimensions[clinical_safety].kind", "'soft' or 'hard'"),
    ('category = "online"', 'category = "onlin"', "dimensions[satisfaction].category", "'online'"),
    ('slices = ["emergency"]', 'slices = ["emergencies"]', "dimensions[escalation_missed].slices[0]", "'emergency'"),
    ('slices = ["emergency"]', "slices = []", "dimensions[escalation_missed].slices", "at least 1"),
    ('= ["all", "medication"]', '= ["all", "all"]', "dimensions[clinical_safety].slices", "once"),
    ('"clinical_safety"\n\n[[', '"clinical_safty"\n\n[[', "dimensions[satisfaction].prerequisite", "'clinical_safety'"),
    ("min_n_hard = 88", "min_n_hard = 87", "dimensions[clinical_safety].min_n", "88 or more"),
    ("alpha = 0.05 ", "alpha = 0.9 ", "gate.alpha", "less than or equal to 0.5"),
    ("alpha = 0.05 ", "alfa = 0.05 ", "gate.alfa", "'alpha'"),
    ("[risk]", "[risc]", "risc", "'risk'"),
    ("leave = 0.02", "leave = 0.2", "risk.leave", "less than enter"),
    ("ceiling = 0.25", "ceiling = 0.01", "dimensions[clinical_safety].max_rate", "risk.ceiling"),
    ('kind = "hard"\nhigher_is_better = false', 'kind = "hard"', "dimensions[clinical_safety].kind", "violations"),
    ("target = 0.85", "target = 0.85\nmax_rate = 0.1", "dimensions[satisfaction].max_rate", "hard dimensions only"),
    ("targeted = true", "targeted = false", "dimensions.targeted", "at least one"),
    ("[gate]", "[gate", "(syntax)", "TOML"),
]


@pytest.mark.parametrize(("good", "bad", "key", "expected"), BAD, ids=lambda part: part.strip()[:24])
def test_bad_matrix_is_refused_with_file_key_and_what_was_expected(
    good: str, bad: str, key: str, expected: str, matrix_text: str
) -> None:
    assert good in matrix_text
    text = re.sub(rf"^(?!#)(.*){re.escape(good)}", lambda m: m.group(1) + bad, matrix_text, flags=re.MULTILINE)
    with pytest.raises(InvalidMatrix) as refused:
        load(text)
    assert refused.value.file == "matrix.toml"
    assert refused.value.key == key
    assert expected in refused.value.expected
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "# nothing", "dimensions = []", "dimensions = 3", "gate = 1", "[gate]\nalpha = 0.05"]
)
def test_matrix_without_dimensions_is_refused(text: str) -> None:
    with pytest.raises(InvalidMatrix):
        load(text)


@pytest.mark.parametrize("row", ["3", '"correctness"', "[]"])
def test_row_that_is_no_table_is_refused(row: str) -> None:
    with pytest.raises(InvalidMatrix) as refused:
        load(f"dimensions = [{row}]")
    assert refused.value.key.startswith("dimensions[0]")


BAD_KNOWLEDGE = [
    ("max_single = 1000", "max_single = 100", "drugs[paracetamol].right_doses"),
    ("max_daily = 4000", "max_daily = 400", "drugs[paracetamol].max_single"),
    ('name = "ibuprofen"', 'name = "paracetamol"', "drugs[paracetamol].name"),
    ('aliases = ["Tylenol"]', 'aliases = ["Ibuprofen"]', "drugs.aliases"),
    ('name = "stroke"', 'name = "chest pain"', "red_flags[chest pain].name"),
    ('unit = "puffs"', 'unit = "puff"', "drugs[salbutamol].unit"),
    ("max_words = 20", "max_word = 20", "layout.max_word"),
    ('phrases = ["face droop*", "slurred speech"]', "phrases = []", "red_flags[stroke].phrases"),
    ('phrases = ["face droop*", "slurred speech"]', 'phrases = [" "]', "red_flags[stroke].phrases[0]"),
    ("agreement_markers", "agreement_marker", "agreement_markers"),
]


@pytest.mark.parametrize(("good", "bad", "key"), BAD_KNOWLEDGE, ids=lambda part: part[:24])
def test_bad_knowledge_is_refused_with_file_and_key(good: str, bad: str, key: str, knowledge_text: str) -> None:
    assert good in knowledge_text
    with pytest.raises(InvalidMatrix) as refused:
        load_knowledge(knowledge_text.replace(good, bad, 1), file="clinic.toml")
    assert (refused.value.file, refused.value.key) == ("clinic.toml", key)
