"""Instructions on the whole: repeat the request first, two answers, case, how it begins and ends, no commas."""

from __future__ import annotations

import re
from typing import Any

from matrix.messages.base import Value
from matrix.scorers.instructions import language
from matrix.scorers.instructions.kind import Count, Kind, NoArguments, Relation, Words

_SIX_ASTERISKS = re.compile(r"(?<!\*)\*{6}(?!\*)")
_CAPITAL_WORD = re.compile(r"(?<![^\W\d_])[^\W\d_](?:[^\W\d_]|['\u2019-])*")
_COMMAS = re.compile("[,\uff0c\u060c\u3001]")
_QUOTES = '"\u201c\u201d\u201e'


class RepeatPrompt(Value):
    """The words to repeat."""

    prompt_to_repeat: Words


class CapitalWords(Value):
    """How many words in capital letters alone."""

    capital_relation: Relation = Relation.AT_LEAST
    capital_frequency: Count


class EndPhrase(Value):
    """The last words."""

    end_phrase: Words


def repeats_prompt(completion: str, wanted: RepeatPrompt) -> bool:
    """At the very beginning; case and the width of spaces do not matter."""
    return _folded(completion).startswith(_folded(wanted.prompt_to_repeat))


def gives_two_responses(completion: str, _wanted: NoArguments) -> bool:
    """Two that differ, parted by six asterisks."""
    parts = [part.strip() for part in _SIX_ASTERISKS.split(completion)]
    answers = [part for part in parts if part]
    return all(parts[1:-1]) and len(answers) == len(set(answers)) == 2


def is_upper_case(completion: str, _wanted: NoArguments) -> bool:
    """No small letter, and English as far as its letters tell."""
    return completion.isupper() and language.is_latin(completion)


def is_lower_case(completion: str, _wanted: NoArguments) -> bool:
    """No capital letter, and English as far as its letters tell."""
    return completion.islower() and language.is_latin(completion)


def has_so_many_capital_words(completion: str, wanted: CapitalWords) -> bool:
    """ "I" and "A" count, as IFEval counts them."""
    count = sum(word.group().isupper() for word in _CAPITAL_WORD.finditer(completion))
    return wanted.capital_relation.holds(count, wanted.capital_frequency)


def ends_with_phrase(completion: str, wanted: EndPhrase) -> bool:
    """Quotation marks around the whole or the phrase do not matter."""
    around = _QUOTES + " \t\n"
    return _folded(completion.strip(around)).endswith(_folded(wanted.end_phrase.strip(around)))


def is_quoted(completion: str, _wanted: NoArguments) -> bool:
    """From the first to the last character."""
    said = completion.strip()
    return len(said) > 1 and said[0] in _QUOTES and said[-1] in _QUOTES


def has_no_comma(completion: str, _wanted: NoArguments) -> bool:
    """In whatever script."""
    return _COMMAS.search(completion) is None


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


KINDS: dict[str, Kind[Any]] = {
    "combination:repeat_prompt": Kind(RepeatPrompt, repeats_prompt),
    "combination:two_responses": Kind(NoArguments, gives_two_responses),
    "change_case:english_capital": Kind(NoArguments, is_upper_case),
    "change_case:english_lowercase": Kind(NoArguments, is_lower_case),
    "change_case:capital_word_frequency": Kind(CapitalWords, has_so_many_capital_words),
    "startend:end_checker": Kind(EndPhrase, ends_with_phrase),
    "startend:quotation": Kind(NoArguments, is_quoted),
    "punctuation:no_comma": Kind(NoArguments, has_no_comma),
}
