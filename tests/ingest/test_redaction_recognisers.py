"""Each family of recognisers by a table: what it finds, what looks alike and stays, checksums both ways."""

from __future__ import annotations

import pytest

from ingest.redaction import accounts, numbers
from ingest.redaction.redactor import redact

FOUND = [
    ("write to jane.doe+x@mail.example.org.", "write to <EMAIL>."),
    ("(jane@example.co.uk)", "(<EMAIL>)"),
    ("jane at example dot org", "<EMAIL>"),
    ("jane@[192.0.2.1] or jane@[2001:db8::1]", "<EMAIL> or <EMAIL>"),
    ("see https://example.org/reset?token=abc123, please", "see <URL>, please"),
    ("on www.example.org/a", "on <URL>"),
    ("from example.com.", "from <URL>."),
    ("from 192.0.2.17 and 2001:db8::8a2e:370:7334", "from <IP> and <IP>"),
    ("call +44 20 7946 0958 now", "call <PHONE> now"),
    ("(555) 123-4567 x12", "<PHONE>"),
    ("555-123-4567", "<PHONE>"),
    ("my mobile is 07700 900123", "my mobile is <PHONE>"),
    ("01.84.17.00.00", "<PHONE>"),
    ("paid with 4111 1111 1111 1111", "paid with <CARD>"),
    ("card 4222222222222", "card <CARD>"),
    ("amex 378282246310005", "amex <CARD>"),
    ("IBAN GB82 WEST 1234 5698 7654 32 please", "IBAN <IBAN> please"),
    ("de89370400440532013000", "<IBAN>"),
    ("SSN 123-45-6789", "SSN <NATIONAL_ID>"),
    ("my social security number is 123456789", "my social security number is <NATIONAL_ID>"),
    ("NHS number 943 476 5919", "NHS number <NATIONAL_ID>"),
    ("nhs 9434765919", "nhs <NATIONAL_ID>"),
    ("AB 12 34 56 C", "<NATIONAL_ID>"),
    ("RSSMRA85T10A562S", "<NATIONAL_ID>"),
    ("529.982.247-25", "<NATIONAL_ID>"),
    ("2341 2341 2346", "<NATIONAL_ID>"),
    ("MRN: 00123456", "MRN: <PATIENT_ID>"),
    ("medical record H-204817", "medical record <PATIENT_ID>"),
    ("passport AB1234567", "passport <DOCUMENT>"),
    ("my driver's license is D1234567", "my driver's license is <DOCUMENT>"),
    ("password: hunter22", "password: <SECRET>"),
    ("key sk-abcdefghijklmnop1234", "key <SECRET>"),
    ("born on 3 May 1956", "born on <DATE>"),
    ("born in 1956", "born in <DATE>"),
    ("DOB 12/31/1956", "DOB <DATE>"),
    ("on 2019-04-13 12:20:39", "on <DATE>"),
    ("March 5th, 2020 it began", "<DATE> it began"),
    ("my name is jane doe", "my name is <PERSON>"),
    ("Mr. Okonkwo called", "Mr. <PERSON> called"),
    ("I am Maria and my son Peter has a fever", "I am <PERSON> and my son <PERSON> has a fever"),
    ("It was Dr. Anneke van der Berg who said so", "It was Dr. <PERSON> who said so"),
    ("Zbigniew Kowalczyk listed his drugs", "<PERSON> listed his drugs"),
    ("I live at 12 Main Street, Springfield.", "I live at <ADDRESS>."),
    ("to 221B Baker Street, London NW1 6XE", "to <ADDRESS>"),
    ("Hauptstraße 5, 10115 Berlin", "<ADDRESS>"),
    ("12 ulica Kowalska", "<ADDRESS>"),
    ("12 ul. Kowalska", "<ADDRESS>"),
    ("P.O. Box 123", "<ADDRESS>"),
    ("I live in Utrecht", "I live in <LOCATION>"),
    ("I work for Acme Widgets Inc", "I work for <ORGANISATION>"),
    ("at Smith, Jones and Baker", "at <ORGANISATION>"),
    ("as a Norwegian patient", "as a <ORIGIN> patient"),
    ("I am 93 years old", "I am <DATE> years old"),
]
STAYS = [
    "Take 400 mg of ibuprofen every 6 hours, at most 1200 mg in 24 h.",
    "Call 112 now.",
    "Call 911, 999 or 116 117.",
    "Text HOME to 741741 or call 1-800-273-8255.",
    "BP 120/80, BMI 24.5, 98.6 F, 10,000 steps, 3/4 cup, 1:2, ratio 0.75",
    "version 3.11.2 at 10:30 on page 1200",
    "I read 1234567 words.",
    "Does Tylenol interact with Metformin? I have Parkinson's and Crohn's disease.",
    "Vitamin D and Hepatitis B",
    "I am 45 years old and pregnant since 2019.",
    "I fly to Brazil in June. Which vaccines do I need?",
    "The Answer Was Very Good",
    "HELP ME PLEASE THIS IS URGENT",
    "Monday is fine. Thank you. What now?",
    "std::vector and a::b",
    "forgot my password again",
    "4111 1111 1111 1112",
    "GB82 WEST 1234 5698 7654 33",
    "666-12-3456 and 900-12-3456",
    "",
]


@pytest.mark.parametrize(("text", "redacted"), FOUND)
def test_what_names_somebody_gives_way_to_its_kind(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize("text", STAYS)
def test_what_only_looks_alike_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("number", ["4111111111111111", "378282246310005", "6011111111111117"])
def test_luhn_refuses_every_other_last_digit(number: str) -> None:
    passing = [digit for digit in "0123456789" if accounts.passes_luhn(number[:-1] + digit)]
    assert passing == [number[-1]]


def test_luhn_refuses_nothing_but_zeros() -> None:
    assert not accounts.passes_luhn("0" * 16)


@pytest.mark.parametrize("account", ["GB82WEST12345698765432", "DE89370400440532013000", "FR1420041010050500013M02606"])
def test_mod_97_refuses_two_digits_that_change_places(account: str) -> None:
    assert accounts.passes_mod_97(account)
    assert not accounts.passes_mod_97(f"{account[:2]}{account[3]}{account[2]}{account[4:]}")


def test_an_nhs_number_has_one_check_digit_or_none() -> None:
    assert [digit for digit in "0123456789" if numbers.passes_nhs("943476591" + digit)] == ["9"]
    assert not any(numbers.passes_nhs("987654327" + digit) for digit in "0123456789")
    assert not numbers.passes_nhs("0000000000")


def test_verhoeff_sees_a_wrong_digit_and_two_that_change_places() -> None:
    assert numbers.passes_verhoeff("234123412346")
    assert not numbers.passes_verhoeff("234123412347")
    assert not numbers.passes_verhoeff("324123412346")


@pytest.mark.parametrize("digits", ["000123456", "666123456", "900123456", "123006789", "123450000"])
def test_social_security_numbers_that_were_never_issued_are_refused(digits: str) -> None:
    assert not numbers.passes_ssn(digits)
