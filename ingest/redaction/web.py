"""E-mail addresses, web addresses (a token in one is a key to what it names) and IP addresses.

Runs of characters are matched possessively and from their beginning alone, so a text of any length costs one pass.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from ingest.redaction.findings import Finding, Kind

LOCAL = r"[\w.+%'&/=~^-]"  # of RFC 5322's atoms those that occur
EMAIL = re.compile(
    rf"(?<!{LOCAL}){LOCAL}++@(?:[\w-]++\.(?=\w))++[^\W\d_][\w-]*+|(?<!{LOCAL}){LOCAL}++@\[[\da-fA-F:.]{{2,45}}+\]"
)
SPELLED_EMAIL = re.compile(  # "jane at example dot org", "jane [at] example.org"
    r"(?<![\w.+-])[\w.+-]++ ?(?:\[at\]|\(at\)|\bat\b) ?[\w-]++(?: ?(?:\[dot\]|\(dot\)"
    r"|\bdot\b) ?[\w-]++)++",
    re.IGNORECASE,
)
SUFFIXES = (  # of host names without a scheme: those that end no sentence and no file name
    "com|org|net|edu|gov|info|biz|io|dev|app|health|care|nhs|eu|uk|de|fr|es|nl|pl|cz|dk|se|fi|gr|pt|ch|at|be|ie|hu"
    "|ro|si|hr|sk|jp|cn|ru|br|ca|au|nz|za|mx|us"
)
URL = re.compile(
    rf"(?<![\w@.-])(?:(?:https?|ftps?|wss?)://[^\s<>\"'`]++|www\.[^\s<>\"'`]++"
    rf"|(?:[a-z0-9-]++\.(?=\w))++(?:{SUFFIXES})(?![\w-]|\.\w)(?::\d+)?(?:[/?#][^\s<>\"'`]*+)?)",
    re.IGNORECASE,
)
TRAILING = ".,;:!?)]}…»"
IPV4 = re.compile(r"(?<!\d)(?<!\d\.)(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\d|\.\d)")
IPV6 = re.compile(
    r"(?<![\w:.])(?=[\da-fA-F]*:[\da-fA-F:]*:)[\da-fA-F:]{4,39}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])"
)


def emails(text: str) -> Iterator[Finding]:
    """Written as such, or spelled out."""
    if "@" in text:
        for found in EMAIL.finditer(text):
            yield Finding(found.start(), found.end(), Kind.EMAIL, sure=True)
    if "dot" in text.lower():
        for found in SPELLED_EMAIL.finditer(text):
            yield Finding(found.start(), found.end(), Kind.EMAIL)


def urls(text: str) -> Iterator[Finding]:
    """With a scheme, with www, or a host name with a common suffix."""
    for found in URL.finditer(text):
        end = found.start() + len(found.group().rstrip(TRAILING))
        yield Finding(found.start(), end, Kind.URL, sure=True)


def ip_addresses(text: str) -> Iterator[Finding]:
    """Versions 4 and 6."""
    for found in IPV4.finditer(text):
        yield Finding(found.start(), found.end(), Kind.IP, sure=True)
    for found in IPV6.finditer(text) if ":" in text else ():
        if _is_ipv6(found.group()):
            yield Finding(found.start(), found.end(), Kind.IP, sure=True)


def _is_ipv6(text: str) -> bool:
    if len(text) < 6 or not any(map(str.isdigit, text)):
        return False  # a::b is a name in a program
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
