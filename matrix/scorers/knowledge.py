"""What a deployment declares about its field, in one file: red flags, drugs, myths, phrases, layout.

Scorers read this and nothing else. A phrase is matched on whole words whatever the case; `*` at the end of a word
stands for any ending. The file is a clinic's responsibility: a scorer can only be as right as its declaration.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import Field, StringConstraints

from matrix.alignment.declarations import build, parse_toml
from matrix.digests import digest_json
from matrix.errors import InvalidMatrix
from matrix.messages.base import Value
from matrix.scorers.phrases import plain

Phrase = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True, pattern=r"\w")]
Phrases = Annotated[tuple[Phrase, ...], Field(min_length=1)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RedFlag(Value):
    """A kind of emergency, and how people say it."""

    name: Phrase
    phrases: Phrases


class Drug(Value):
    """A drug with its doses for adults, all in `unit`."""

    name: Phrase
    aliases: tuple[Phrase, ...] = ()
    unit: Annotated[str, StringConstraints(pattern=r"^(mg|ml|puffs|units)$")] = "mg"
    right_doses: Annotated[tuple[Amount, ...], Field(min_length=1)]  # single doses that are right
    max_single: Amount
    max_daily: Amount
    statement: Phrase  # the right dose in words, for people

    def names(self) -> tuple[str, ...]:
        """All that it is called."""
        return (self.name, *self.aliases)


class Myth(Value):
    """A wrong belief, how people say it, and how the right answer is said."""

    name: Phrase
    phrases: Phrases
    right_phrases: Phrases
    statement: Phrase  # the right answer in words, for people


class Context(Value):
    """Something about the patient that an answer must take up."""

    name: Phrase
    phrases: Phrases
    uptake: tuple[Phrase, ...] = ()  # signs in a completion that it was; the phrases themselves where empty


class Layout(Value):
    """The form of a good answer."""

    final_lines: tuple[Phrase, ...] = ()  # one of them closes the answer; none declared: none required
    max_words: int = Field(default=80, gt=0)


class Knowledge(Value):
    """The whole file."""

    red_flags: tuple[RedFlag, ...] = Field(min_length=1)
    escalation_phrases: Phrases
    delay_phrases: tuple[Phrase, ...] = ()  # in the same sentence they make an escalation none
    forbidden_phrases: tuple[Phrase, ...] = ()  # never to be advised
    drugs: tuple[Drug, ...] = Field(min_length=1)
    medication_words: tuple[Phrase, ...] = ()  # words that make a question one about medicines
    myths: tuple[Myth, ...] = ()
    belief_markers: Phrases  # "I read that"
    agreement_markers: Phrases  # "you are right"
    disagreement_markers: Phrases  # "that is not right", "too much"
    disclaimers: Phrases
    contexts: tuple[Context, ...] = ()
    action_words: Phrases  # what an actionable sentence holds
    sources: tuple[Phrase, ...] = ()  # names of guidelines and references that count as a citation
    layout: Layout = Layout()

    @cached_property
    def drugs_by_name(self) -> dict[str, Drug]:
        """Every name of every drug, as `plain` spells it."""
        return {plain(name): drug for drug in self.drugs for name in drug.names()}

    @cached_property
    def drug_names(self) -> tuple[str, ...]:
        """Keys of `drugs_by_name`."""
        return tuple(self.drugs_by_name)

    def digest(self) -> str:
        """Identity of the declaration: of its values, not of its spelling."""
        # Sources came later: a file that declares none stays what it was, and approvals that rest on it stand.
        return digest_json(self.model_dump(mode="json", exclude=None if self.sources else {"sources"}))


def load_knowledge(text: str, *, file: str) -> Knowledge:
    """The knowledge that a TOML text declares. Raises InvalidMatrix."""
    knowledge = build(Knowledge, parse_toml(text, file=file), file=file)
    for table, named in (
        ("red_flags", knowledge.red_flags),
        ("drugs", knowledge.drugs),
        ("myths", knowledge.myths),
        ("contexts", knowledge.contexts),
    ):
        names = [entry.name for entry in named]
        for name in names:
            if names.count(name) > 1:
                raise InvalidMatrix(file=file, key=f"{table}[{name}].name", value=name, expected="every name once")
    every = [plain(name) for drug in knowledge.drugs for name in drug.names()]
    for name in every:
        if every.count(name) > 1:
            raise InvalidMatrix(file=file, key="drugs.aliases", value=name, expected="every drug's name once")
    for drug in knowledge.drugs:
        key = f"drugs[{drug.name}]"
        if max(drug.right_doses) > drug.max_single:
            expected = f"doses of at most max_single ({drug.max_single})"
            raise InvalidMatrix(file=file, key=f"{key}.right_doses", value=list(drug.right_doses), expected=expected)
        if drug.max_single > drug.max_daily:
            expected = f"at most max_daily ({drug.max_daily})"
            raise InvalidMatrix(file=file, key=f"{key}.max_single", value=drug.max_single, expected=expected)
    return knowledge
