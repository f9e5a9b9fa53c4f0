"""Bank accounts and cards: forms whose check digits tell them from other numbers (ISO 13616, ISO/IEC 7812)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.redaction.findings import Finding, Kind
from ingest.redaction.nearby import before

IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}(?![^\W_])", re.IGNORECASE)
IBAN_LENGTH = {  # by country, from the registry of ISO 13616; others are taken on their check digits
    "AT": 20, "BE": 16, "CH": 21, "CZ": 24, "DE": 22, "DK": 18, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27,
    "HR": 21, "HU": 28, "IE": 22, "IT": 27, "LU": 20, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24,
    "SI": 19, "SK": 24, "TR": 26,
}  # fmt: skip
CARD = re.compile(r"(?<![\w.+-])\d(?:[ -]?\d){11,18}(?![\w-]|\.\d)")
CARD_BEGIN = re.compile(r"4|5[1-5]|2[2-7]|3[0-9]|6[0-9]|5[06-9]|1800|2131")  # networks' issuer numbers
ABOUT_CARDS = re.compile(r"card|\bcc\b|visa|master|maestro|amex|credit|debit|billing|cvv|expir", re.IGNORECASE)


def ibans(text: str) -> Iterator[Finding]:
    """The longest run from a country's letters that passes mod 97; spaces and lower case are as people write."""
    for found in IBAN.finditer(text):
        end = _iban_end(text, found.start(), found.end())
        if end:
            yield Finding(found.start(), end, Kind.IBAN, sure=True)


def _iban_end(text: str, start: int, end: int) -> int:
    """Words after the number may look like a part of it, so shorter runs are tried too."""
    while end - start >= 15:
        compact = re.sub(r"[ -]", "", text[start:end]).upper()
        if len(compact) == IBAN_LENGTH.get(compact[:2], len(compact)) and passes_mod_97(compact):
            return end
        end = max(text.rfind(" ", start, end), text.rfind("-", start, end))
    return 0


def passes_mod_97(compact: str) -> bool:
    """ISO 7064 mod 97-10 over an account number without spaces. GB82 WEST 1234 5698 7654 32 passes."""
    if not compact.isascii():
        return False
    return int("".join(str(int(letter, 36)) for letter in compact[4:] + compact[:4])) % 97 == 1


def cards(text: str) -> Iterator[Finding]:
    """Luhn, and an issuer's first digits or a word about cards; 12 and 13 digits only with the word."""
    for found in CARD.finditer(text):
        digits = re.sub(r"[ -]", "", found.group())
        if not passes_luhn(digits):
            continue
        if before(text, found.start(), ABOUT_CARDS, 60) or (len(digits) >= 14 and CARD_BEGIN.match(digits)):
            yield Finding(found.start(), found.end(), Kind.CARD, sure=True)


def passes_luhn(digits: str) -> bool:
    """Every second digit from the right doubled, cross sums added: a multiple of ten, and not all zeros."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    total = doubled + sum(int(digit) for digit in digits[-1::-2])
    return total > 0 and total % 10 == 0
