"""The language of a completion, as far as letters and the commonest words tell.

A script that one language of the table writes decides by itself. Where several share it, the language whose commonest
words occur most is meant; a text without any of them, or with as many of another's, stays undecided (None). That is
less than a trained identifier can do: short or mixed texts are not told apart, nor are close relatives such as Croatian
and Serbian, which are not in the table.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator

from matrix.messages.base import Value
from matrix.scorers.instructions.kind import Kind


class Language(NamedTuple):
    """How a language is known."""

    name: str
    letters: str  # character class of its script
    words: str = ""  # its commonest, where others write the same script
    least: float = 0.5  # share of the letters that must be of the script


_LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_CYRILLIC, _ARABIC, _DEVANAGARI = "\u0400-\u052f", "\u0600-\u06ff\u0750-\u077f", "\u0900-\u097f"
LANGUAGES = {
    "en": Language("English", _LATIN, "the and of to is that it for you with are this not was have be"),
    "de": Language("German", _LATIN, "der die und das ist nicht ein eine mit zu den auf für sich von sie"),
    "fr": Language("French", _LATIN, "le la les des et est une que dans pour qui pas vous sur avec il du"),
    "es": Language("Spanish", _LATIN, "el la los las de que y es una en por con para del se su"),
    "pt": Language("Portuguese", _LATIN, "o a os as que e é um uma não com para em do da"),
    "it": Language("Italian", _LATIN, "il di che è una non per sono con del della gli le anche e la"),
    "nl": Language("Dutch", _LATIN, "de het een en van is dat niet met voor op zijn te in aan"),
    "sv": Language("Swedish", _LATIN, "och att det som är på en inte med för till av jag"),
    "fi": Language("Finnish", _LATIN, "ja on ei että se oli hän mutta ovat myös kun joka tai"),
    "pl": Language("Polish", _LATIN, "i w nie na się że jest z do to jak przez"),
    "tr": Language("Turkish", _LATIN, "ve bir bu da için ile çok de olarak daha"),
    "id": Language("Indonesian", _LATIN, "yang dan di dengan untuk tidak ini dari itu adalah pada"),
    "vi": Language("Vietnamese", _LATIN, "và của là không có một được cho những người các"),
    "sw": Language("Swahili", _LATIN, "ya na wa kwa ni katika la za kuwa hii cha"),
    "ru": Language("Russian", _CYRILLIC, "и в не на что с это как для по из этот я он"),
    "bg": Language("Bulgarian", _CYRILLIC, "и на да се от за е са ще със това като"),
    "uk": Language("Ukrainian", _CYRILLIC, "і та не на що з це як для від є й"),
    "ar": Language("Arabic", _ARABIC, "في من على أن إلى هذا التي عن لا ما هو مع"),
    "fa": Language("Persian", _ARABIC, "و در به از که این را با است برای آن می"),
    "ur": Language("Urdu", _ARABIC, "کے میں کی ہے اور سے کا کو نے یہ ہیں پر"),
    "hi": Language("Hindi", _DEVANAGARI, "के है में की से और का को हैं यह ने पर"),
    "mr": Language("Marathi", _DEVANAGARI, "आहे आणि या आहेत ते नाही हे ही त्या मध्ये"),
    "ne": Language("Nepali", _DEVANAGARI, "छ र मा को लाई छन् हो यो पनि ले नेपालको गर्न"),
    "bn": Language("Bengali", "\u0980-\u09ff"),
    "pa": Language("Punjabi", "\u0a00-\u0a7f"),
    "gu": Language("Gujarati", "\u0a80-\u0aff"),
    "ta": Language("Tamil", "\u0b80-\u0bff"),
    "te": Language("Telugu", "\u0c00-\u0c7f"),
    "kn": Language("Kannada", "\u0c80-\u0cff"),
    "ml": Language("Malayalam", "\u0d00-\u0d7f"),
    "th": Language("Thai", "\u0e00-\u0e7f"),
    "ko": Language("Korean", "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"),
    "ja": Language("Japanese", "\u3040-\u30ff", least=0.15),  # kana; the rest may be Han
    "zh": Language("Chinese", "\u3400-\u4dbf\u4e00-\u9fff", least=0.8),
    "el": Language("Greek", "\u0370-\u03ff\u1f00-\u1fff"),
    "he": Language("Hebrew", "\u0590-\u05ff"),
}
BY_NAME = {language.name.lower(): code for code, language in LANGUAGES.items()}
_NO_LETTERS = re.compile(r"[\W\d_]")
_AROUND = "\"'().,;:!?*_#-\u2026\u00ab\u00bb\u201c\u201d\u2018\u2019\u060c\u061b\u061f\u06d4\u0964"


def _known(code: str) -> str:
    if code not in LANGUAGES:
        raise ValueError(f"one of {', '.join(LANGUAGES)}")
    return code


class ResponseLanguage(Value):
    """A code of the table."""

    language: Annotated[str, AfterValidator(_known)]


def is_in_language(completion: str, wanted: ResponseLanguage) -> bool | None:
    """None where letters and common words do not tell."""
    asked = LANGUAGES[wanted.language]
    if _share(completion, asked.letters) < asked.least:
        return False
    if not asked.words:
        return True
    counts = {code: _count(completion, other) for code, other in LANGUAGES.items() if other.letters == asked.letters}
    own = counts.pop(wanted.language)
    most = max(counts.values())
    return None if own == most else own > most


def is_latin(completion: str) -> bool:
    """Whether it is written in the letters of English."""
    return _share(completion, _LATIN) > 0.5


def _share(text: str, letters: str) -> float:
    """Of all letters; 0 where there are none."""
    own = sum(1 for _ in re.finditer(f"[{letters}]", text))
    others = len(_NO_LETTERS.sub("", re.sub(f"[{letters}]", "", text)))
    return own / (own + others) if own else 0.0


def _count(text: str, language: Language) -> int:
    words = frozenset(language.words.split())
    return sum(word.strip(_AROUND) in words for word in text.lower().split())


KINDS: dict[str, Kind[Any]] = {"language:response_language": Kind(ResponseLanguage, is_in_language)}
