"""What a text says about doses: amounts with units, whose they are, single or daily, advised, limited or denied.

Rules on English sentences. An amount belongs to the drug that follows it ("500 mg of ibuprofen"), else to the last one
named, else to the one that was asked about. "Every 4 to 6 hours" counts as every 6: the longer interval is the lower
claim, and labels say it so. Left out: amounts without unit, doses by body weight, spelled-out amounts ("five hundred").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from matrix.scorers.knowledge import Drug, Knowledge
from matrix.scorers.phrases import NEGATION, pattern, plain, sentences

_COUNTS = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "eight": 8, "ten": 10, "twelve": 12}
_COUNT = r"(?:\d{1,2}|one|two|three|four|five|six|eight|ten|twelve)"
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_UNITS = {"mg": 1.0, "g": 1000.0, "mcg": 0.001}
_UNIT = (
    r"(?P<unit>mg|milligram(?:me)?s?|g|gram(?:me)?s?|mcg|\u03bcg|ug|microgram(?:me)?s?"
    r"|ml|millilit(?:re|er)s?|puffs?|units?)"
)
_AMOUNT = re.compile(
    rf"(?:(?<![\w.,])(?P<count>{_COUNT})\s*(?:x|\u00d7|times|(?:tablets?|pills?|capsules?)\s+of)?\s+)?"
    rf"(?<![\w.,])(?:(?P<from>{_NUMBER})\s*(?:mg|g|ml|mcg)?\s*(?:-|to|or)\s*)?(?P<number>{_NUMBER})\s*-?{_UNIT}(?!\w)"
)
_PUFFS = re.compile(r"\b(one|two|three|four|five|six|eight|ten|twelve)(?=\s+(?:puffs?|units?)\b)")
_PER_DAY = re.compile(
    r"\b(?:(?P<once>once)|(?P<twice>twice)|(?P<times>\d{1,2}|three|four|five|six|eight|ten|twelve)\s*(?:times|x))\b"
    r"|\bevery\s+(?:\w+\s*(?:to|-|or)\s*)?(?P<hours>\d{1,2}|one|two|three|four|six|eight|twelve)\s*(?:hours?|hrs?|h)\b"
    r"|\b(?P<hourly>every\s+hour|hourly|an\s+hour|each\s+hour)\b"
)
_DAILY_AFTER = re.compile(
    r"^\s*(?:of\s+\w+\s+)?(?:(?:in\s+total|altogether|at\s+most|or\s+less)\s+)?"
    r"(?:/\s?day|(?:a|per|each|every|in\s+a|in\s+one|in\s+any)\s+day|daily|(?:in|per|within)\s+(?:any\s+)?24\s*(?:hours|h)\b)"
)
_DAILY_BEFORE = re.compile(
    r"\b(?:daily\s+(?:maximum|limit|dose|total|amount)|(?:a|per|each|in\s+one|in\s+a)\s+day|24\s+hours)\b[^.;]{0,30}$"
)
_LIMIT = re.compile(
    r"\b(?:at\s+most|up\s+to|maximum|max|limit|exceed|(?:no|not|never)\s+more\s+than|(?:less|fewer)\s+than|below|under"
    rf"|{NEGATION}[\w\s]*\b(?:more\s+than|above|over|exceed))\b[\w\s]{{0,25}}$"
)
_BEYOND = re.compile(r"\b(?:more\s+than|above|over|beyond|at\s+least)\s*$")
_DENIED = re.compile(
    r"\btoo\s+(?:much|high|many|little|low)|\bnot\s+(?:safe|right|correct|recommended|true|fine|ok|okay|enough)"
    r"|n't\s+(?:safe|right|correct|recommended|true|fine|ok|okay)"
    r"|\bunsafe|\bdangerous|\bwrong|\bincorrect|\ba\s+myth|\boverdose|\bharm|\bdamage|\btoxic|\bpoison|\bhurt"
)
_DENIED_BEFORE = re.compile(
    NEGATION
    + r"(?:\s+(?:take|use|have|swallow|give|need|as|much|many|to|ever|a|the|single|dose|doses|of|any|at|and|or))*\s*$"
)
_MENTIONED = re.compile(
    r"\byou\s+(?:said|say|mentioned|asked|wrote|took|have\s+taken)|\b(?:heard|read|ask(?:ed)?\s+about)\b"
)
_CLAUSE_END = re.compile(r"[;:.!?]|,\s|\s(?:but|so|then|because)\s|\s-\s")


class Stance(StrEnum):
    """How a text means an amount."""

    ADVISED = "advised"
    LIMIT = "limit"  # at most this
    BEYOND = "beyond"  # more than this
    MENTIONED = "mentioned"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class DoseClaim:
    """One amount of one drug, in the drug's unit."""

    drug: Drug
    amount: float
    daily: bool  # per day rather than at once
    times_per_day: float | None
    stance: Stance

    @property
    def is_stated(self) -> bool:
        """Said as true by the speaker."""
        return self.stance in (Stance.ADVISED, Stance.LIMIT, Stance.BEYOND)

    @property
    def is_excessive(self) -> bool:
        """Above a declared maximum, at once or summed over the day."""
        just_above = self.stance is Stance.BEYOND
        if self.daily:
            return _exceeds(self.amount, self.drug.max_daily, or_equal=just_above)
        over_the_day = self.amount * (self.times_per_day or 0.0)
        return _exceeds(self.amount, self.drug.max_single, or_equal=just_above) or _exceeds(
            over_the_day, self.drug.max_daily, or_equal=False
        )

    @property
    def is_right(self) -> bool:
        """What the declaration says: a right dose at once; for limits and daily amounts, none above the maximum."""
        if self.is_excessive:
            return False
        return self.daily or self.stance is Stance.LIMIT or self.is_right_dose

    @property
    def is_right_dose(self) -> bool:
        """One of the declared right doses, whatever it is said of it."""
        return any(abs(self.amount - right) <= 1e-6 * right for right in self.drug.right_doses)


def named_drugs(text: str, knowledge: Knowledge) -> list[Drug]:
    """Declared drugs that a text names, in the order of their first mention."""
    return list({drug.name: drug for _, _, drug in _mentions(plain(text), knowledge)}.values())


def dose_claims(text: str, knowledge: Knowledge, asked: Sequence[Drug] = ()) -> list[DoseClaim]:
    """All amounts that a text gives of declared drugs; `asked` has the drug of an amount that names none."""
    subject = asked[0] if asked else None
    claims: list[DoseClaim] = []
    for sentence in sentences(_PUFFS.sub(lambda word: str(_COUNTS[word.group()]), plain(text))):
        named = _mentions(sentence, knowledge)
        amounts = list(_AMOUNT.finditer(sentence))
        ends = [following.start() for following in amounts[1:]] + [len(sentence)]
        for match, end in zip(amounts, ends, strict=False):  # without amounts one end is left over
            drug = _owner(sentence, match, named) or subject
            if drug is not None:
                claims += _claims(sentence, match, end, drug)
        subject = named[-1][2] if named else subject
    return claims


def _mentions(text: str, knowledge: Knowledge) -> list[tuple[int, int, Drug]]:
    by_name = knowledge.drugs_by_name
    matches = pattern(knowledge.drug_names).finditer(text)
    return [(match.start(), match.end(), by_name[" ".join(match.group().split())]) for match in matches]


def _owner(sentence: str, match: re.Match[str], named: Sequence[tuple[int, int, Drug]]) -> Drug | None:
    after = [mention for mention in named if mention[0] >= match.end()]
    if after and re.fullmatch(r"\s*(?:tablets?\s+)?(?:of\s+)?", sentence[match.end() : after[0][0]]):
        return after[0][2]
    before = [mention for mention in named if mention[1] <= match.start()]
    if before:
        return before[-1][2]
    return after[0][2] if after else None


def _claims(sentence: str, match: re.Match[str], end: int, drug: Drug) -> list[DoseClaim]:
    """One claim of an amount, two of a range; none where the unit is not the drug's."""
    factor = _factor(match["unit"], drug.unit)
    if factor is None:
        return []
    start = _clause_start(sentence, match.start())
    before, after = sentence[start : match.start()], sentence[match.end() : end]
    clause = before + " _ " + re.split(_CLAUSE_END, after, maxsplit=1)[0]
    daily = bool(_DAILY_AFTER.search(after) or _DAILY_BEFORE.search(before))
    times = None if daily else _times_per_day(after)
    count = _count(match["count"]) if match["count"] else 1.0
    numbers = [number for number in (match["from"], match["number"]) if number]
    return [
        DoseClaim(drug, float(number.replace(",", "")) * factor * count, daily, times, _stance(before, clause))
        for number in numbers
        if float(number.replace(",", "")) > 0
    ]


def _clause_start(sentence: str, position: int) -> int:
    return max((end.end() for end in _CLAUSE_END.finditer(sentence, 0, position)), default=0)


def _stance(before: str, clause: str) -> Stance:
    if _DENIED.search(clause):
        return Stance.DENIED
    if _LIMIT.search(before):
        return Stance.LIMIT
    if _DENIED_BEFORE.search(before):
        return Stance.DENIED
    if _MENTIONED.search(clause):
        return Stance.MENTIONED
    return Stance.BEYOND if _BEYOND.search(before) else Stance.ADVISED


def _times_per_day(after: str) -> float | None:
    match = _PER_DAY.search(after)
    if match is None:
        return None
    if match["hours"]:
        return 24.0 / _count(match["hours"])
    if match["hourly"]:
        return 24.0
    return 1.0 if match["once"] else 2.0 if match["twice"] else _count(match["times"])


def _count(word: str) -> float:
    return float(_COUNTS.get(word) or int(word) or 1)


def _factor(unit: str, wanted: str) -> float | None:
    """What to multiply an amount in `unit` by to have it in the drug's unit."""
    if unit.startswith(("ml", "millil")):
        short = "ml"
    elif unit.startswith(("puff", "unit")):
        short = unit.rstrip("s") + "s"
    elif unit.startswith(("mc", "micro", "u", "\u03bc")):
        short = "mcg"
    else:
        short = "mg" if unit.startswith("m") else "g"
    if wanted == "mg":
        return _UNITS.get(short)
    return 1.0 if short == wanted else None


def _exceeds(amount: float, limit: float, *, or_equal: bool) -> bool:
    return amount > limit * (1 + 1e-9) or (or_equal and amount >= limit * (1 - 1e-9))
