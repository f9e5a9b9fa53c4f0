"""How people state form: JSON, title, case, commas, quotation marks, language, choice, two answers, repeat first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from matrix.scorers.instructions.language import BY_NAME
from matrix.scorers.instructions.layout import IFEVAL_OPTIONS
from matrix.scorers.instructions.rule import QUOTED, Read, Rule, items

Found = Iterator[tuple[str, Mapping[str, object]]]
_ANSWER = r"(?:answer|response|reply|output|text|it|everything|message|letters?|words?|entire)"
_SAY = (
    r"(?:answer|respond|reply|write|written|explain|translate|summari[sz]e|say|speak|response|output|use|using|only"
    r"|entire|entirely|be|give|make|describe|talk|rewrite|expand|following|criticize|create|provide|is)"
)
_NO_CASE = r"(?:no|without(?: \w{1,10})?|do not use|don't use|not use|avoid)(?: any| using any| using)?"
_LANGUAGES = "|".join(BY_NAME)
_AFTER_LANGUAGE = (
    r"(?= ?(?:$|[.,;:!?)\n\"-]|(?:language|only|and|with|please|without|about|so|in|for|using|to|but|throughout|why"
    r"|how|what|that|or|no)\b))"
)


def _says(kind: str) -> Read:
    """For kinds without arguments."""

    def read(_match: re.Match[str]) -> Found:
        yield kind, {}

    return read


def _language(match: re.Match[str]) -> Found:
    yield "language:response_language", {"language": BY_NAME[match["language"]]}


def _capital(match: re.Match[str]) -> Found:
    """Of the whole; words in capital letters are counted by another rule."""
    before = match.string[max(0, match.start() - 40) : match.start()].rsplit(".", 1)[-1]
    if not re.search(r"(?<!all )\bwords?\b", before):
        yield "change_case:english_capital", {}


def _yes_or_no(_match: re.Match[str]) -> Found:
    yield "detectable_format:constrained_response", {"options": ("yes", "no")}


def _options(match: re.Match[str]) -> Found:
    options = items(match["list"])
    if not any(option.startswith("my answer is") for option in options):  # IFEval's, which the next rule finds
        yield "detectable_format:constrained_response", {"options": options}


def _my_answer_is(_match: re.Match[str]) -> Found:
    yield "detectable_format:constrained_response", {"options": IFEVAL_OPTIONS}


def _repeat(match: re.Match[str]) -> Found:
    """What stands before the demand; what follows the next empty line where it says so or nothing stands before."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    ends = [before.rfind("\n") + 1, *(at + 2 for end in (". ", "? ", "! ") if (at := before.rfind(end)) >= 0)]
    above = before[: max(ends)].strip()
    below = (after.split("\n\n", 1) if "\n\n" in after else after.split("\n", 1))[-1].strip()
    is_below = _BELOW.search(match.string[max(0, match.start() - 60) : match.end()]) is not None
    if request := below if below and (is_below or not above) else above:
        yield "combination:repeat_prompt", {"prompt_to_repeat": request}


_BELOW = re.compile(r"\b(?:below|following)\b")

RULES = (
    Rule(
        re.compile(
            r"\b(?:as|in|into|use|using|with|valid|pure|only|a) (?:\w{1,10} ){0,2}?json\b(?! (?:file|schema|parser"
            r"|library|error))"
        ),
        _says("detectable_format:json_format"),
    ),
    Rule(
        re.compile(r"\btitle\b[^.\n]{0,60}(?:<<|double angular bracket)|<<[^<>\n]{1,60}>>"),
        _says("detectable_format:title"),
    ),
    Rule(
        re.compile(
            rf"\b{_NO_CASE} commas?\b|\bcommas? (?:are|is) (?:not allowed|forbidden|prohibited)\b"
            rf"|\bnot(?: be)? allowed to use (?:any )?commas?\b"
            r"|(?:\bnot|n't|\bnever|\bwithout|\brefrain from|\bavoid|\bcannot)(?: \w{1,12}){0,3} commas?\b"
        ),
        _says("punctuation:no_comma"),
        may_be_denied=True,
    ),
    Rule(
        re.compile(
            r"(?<!words )(?<!word )\b(?:in|use|using|with|only)(?: only| all| entirely in"
            r"| your answer in)? (?:all[ -])?(?:caps|capitals|capital letters|upper ?case|upper-case)\b(?! words?)"
            rf"|(?<!words with )(?<!words in )(?<!word in )\ball[ -](?:caps|capitals|capital letters"
            rf"|upper ?case)\b(?! words?)|\b{_NO_CASE} (?:lower ?case|small) letters?\b"
            r"|\ball letters (?:\w{1,10} ){0,6}?(?:capitali[sz]ed|capital|upper ?case)\b"
        ),
        _capital,
    ),
    Rule(
        re.compile(
            r"\b(?:all|in|only|use|using|with|be)(?: only| all| entirely)?(?: in)?(?: the)? (?:lower ?case|lower-case"
            r"|small letters)(?:d|s)?\b"
            rf"|\b{_NO_CASE} (?:capital|upper ?case|capitali[sz]ed)(?: letters?)?\b(?! words?)"
            r"|(?:\bnot|n't|\bnever)(?: \w{1,12}){1,3} (?:capital|upper ?case) letters?\b"
            r"|\bnot a single letter (?:\w{1,10} ){0,5}?capitali[sz]ed\b"
            r"|\bletters (?:\w{1,10} ){0,3}?lower ?cased?\b|\bno capital letters\b"
        ),
        _says("change_case:english_lowercase"),
        may_be_denied=True,
    ),
    Rule(
        re.compile(
            rf"\b(?:wrap|put|enclose|surround"
            rf"|contain)\w{{0,3}}\b[^.\n]{{0,60}}?\b{_ANSWER}?[^.\n]{{0,40}}?\b(?:double )?quot(?:ations?|es?)\b"
            r"|\b(?:in|inside|within|with) double quot(?:ations?|es?)\b"
        ),
        _says("startend:quotation"),
    ),
    Rule(
        re.compile(
            rf"\b{_SAY}\b[^.\n]{{0,80}}?\b(?:in|into|using|only) (?:the |only |only the |a |formal "
            rf"|simple )?(?P<language>{_LANGUAGES})\b{_AFTER_LANGUAGE}"
        ),
        _language,
    ),
    Rule(
        re.compile(
            r"\b(?:answer|respond|reply)(?: (?:only|just|simply|me))?(?: with)?(?: (?:only|just|either"
            r"|a simple))? [\"']?yes[\"']? or [\"']?no\b"
        ),
        _yes_or_no,
    ),
    Rule(
        re.compile(
            rf"\b(?:answer|respond|reply|choose|pick)\b[^.\n\"']{{0,50}}?\b(?:one of|between|from"
            rf"|either)\b[^.\n\"']{{0,40}}?[\[(]?(?P<list>{QUOTED}(?: ?,? ?(?:and|or)? ?{QUOTED}){{1,9}})"
        ),
        _options,
    ),
    Rule(re.compile(r"my answer is yes\.?(?=[\s\S]{1,80}my answer is no)"), _my_answer_is, may_be_quoted=True),
    Rule(
        re.compile(
            r"\b(?:two|2|both|them|responses|answers)\b[\s\S]{0,200}?(?:(?<!\*)\*{6,7}(?!\*)|\b(?:six|6) asterisk)"
        ),
        _says("combination:two_responses"),
    ),
    Rule(
        re.compile(
            r"\brepeat (?:\w{1,10} ){0,3}?(?:request|prompt|question|sentence|instruction|line|text"
            r"|it)s?\b[^.\n]{0,60}?(?:\bword (?:for|by) word\b|\bwithout (?:any )?change|\bexact|\babove\b|\bbelow\b"
            r"|\bas it is\b|\bat the very)[^\n]{0,300}"
        ),
        _repeat,
    ),
)
