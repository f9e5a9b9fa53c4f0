"""The real redaction under a secret that everybody may know."""

from ingest.privacy import Privacy

PRIVACY = Privacy(b"pseudonyms of tests, always the same")
