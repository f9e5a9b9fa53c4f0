"""Privacy with a memory for what recurs: names of tags, their short values, people. The gateway's alone.

What is remembered is what the process is given again and again anyway; it is bounded, and it leaves with the process.
"""

from __future__ import annotations

from ingest.privacy import Privacy
from ingest.redaction import rules
from ingest.redaction.redactor import Find

SHORT = 48  # characters; longer texts hardly recur
MOST = 20_000  # of each; then it starts again


class RememberingPrivacy(Privacy):
    """The same answers, sooner."""

    def __init__(self, secret: bytes, find: Find = rules.find) -> None:
        super().__init__(secret, find)
        self._texts: dict[str, str] = {}
        self._people: dict[tuple[str, str], str] = {}

    def text(self, text: str) -> str:
        """As Privacy."""
        if len(text) > SHORT:
            return super().text(text)
        redacted = self._texts.get(text)
        if redacted is None:
            redacted = super().text(text)
            if len(self._texts) >= MOST:
                self._texts.clear()
            self._texts[text] = redacted
        return redacted

    def person(self, tenant: str, name: str) -> str:
        """As Privacy."""
        pseudonym = self._people.get((tenant, name))
        if pseudonym is None:
            pseudonym = super().person(tenant, name)
            if len(self._people) >= MOST:
                self._people.clear()
            self._people[tenant, name] = pseudonym
        return pseudonym
