"""Bank accounts and cards: forms whose check digits tell them from other numbers (ISO 13616, ISO/IEC 7812)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.redaction.findings import Finding, Kind
from ingest.redaction.nearby import before

IBAN = re.compile(r"(?<![^\W_])(?=([A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}))", re.IGNORECASE)  # may begin inside another
IBAN_LENGTH = {  # by country, from the registry of ISO 13616
    row[:2]: int(row[2:])
    for row in """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24
    FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32
    LI21 LT20 LU20 LV21 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24
    SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
    """.split()  # noqa: SIM905 - a list of rows reads as one
}
CARD = re.compile(r"(?<![\w+])(?<!\w-)(?<!\d\.)\d(?:[ -]?\d){11,40}(?![\w-]|\.\d)")
GROUP = re.compile(r"\d+")
GROUPINGS = ("4444", "44443", "465", "464")  # digits of each group, as cards print them
CARD_BEGIN = re.compile(r"4|5[1-5]|2[2-7]|3[0-9]|6[0-9]|5[06-9]|1800|2131")  # networks' issuer numbers
ABOUT_CARDS = re.compile(r"card|\bcc\b|visa|master|maestro|amex|credit|debit|billing|cvv|expir", re.IGNORECASE)


def ibans(text: str) -> Iterator[Finding]:
    """The longest run from a country's letters that passes mod 97; spaces and lower case are as people write."""
    for found in IBAN.finditer(text):
        end = _iban_end(text, found.start(), found.end(1))
        if end:
            yield Finding(found.start(), end, Kind.IBAN, sure=True)


def _iban_end(text: str, start: int, end: int) -> int:
    """Words after the number may look like a part of it, so shorter runs are tried too."""
    if text[end : end + 1].isalnum():
        end = text.rfind(" ", start, end)
    while end - start >= 15:
        compact = text[start:end].replace(" ", "").upper()
        if len(compact) == IBAN_LENGTH.get(compact[:2]) and passes_mod_97(compact):
            return end
        end = text.rfind(" ", start, end)
    return 0


def passes_mod_97(compact: str) -> bool:
    """ISO 7064 mod 97-10 over an account number without spaces. GB82 WEST 1234 5698 7654 32 passes."""
    if not compact.isascii():
        return False
    return int("".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])) % 97 == 1


def cards(text: str) -> Iterator[Finding]:
    """Luhn, and an issuer's first digits or a word about cards; 12 and 13 digits only with the word."""
    for found in CARD.finditer(text):
        spoken_of = before(text, found.start(), ABOUT_CARDS, 60) is not None
        for start, end in _card_spans(text, found):
            digits = re.sub(r"[ -]", "", text[start:end])
            likely = spoken_of or (len(digits) >= 14 and CARD_BEGIN.match(digits) is not None)
            if likely and len(digits) <= 19 and passes_luhn(digits):
                yield Finding(start, end, Kind.CARD, sure=True)
                break


def _card_spans(text: str, found: re.Match[str]) -> Iterator[tuple[int, int]]:
    """The whole run; then groups within it that a card would print, since other numbers may stand beside."""
    yield found.span()
    groups = list(GROUP.finditer(text, *found.span()))
    lengths = "".join(str(min(9, len(group.group()))) for group in groups)
    for grouping in GROUPINGS:
        at = lengths.find(grouping)
        while at >= 0:
            yield groups[at].start(), groups[at + len(grouping) - 1].end()
            at = lengths.find(grouping, at + 1)
    yield from (group.span() for group in groups if len(group.group()) >= 13)


def passes_luhn(digits: str) -> bool:
    """Every second digit from the right doubled, cross sums added: a multiple of ten, and not all zeros."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    total = doubled + sum(int(digit) for digit in digits[-1::-2])
    return total > 0 and total % 10 == 0
