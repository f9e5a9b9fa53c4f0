"""The exception tree: a type says what the caller can do, fields say about what.

    PlumblineError
      ├ Transient                 try again later
      │   ├ BrokerUnavailable     Kafka or Redis does not answer
      │   ├ DatabaseUnavailable   PostgreSQL does not answer
      │   ├ SamplerUnavailable    the policy server does not answer
      │   ├ Overloaded            this process holds as much as it may; says after how long to try again
      │   ├ RateLimited           this key sends faster than it may; the same
      │   └ ObjectStoreUnavailable  the object store cannot be read or written (a full disk too)
      └ Permanent                 report to a person
          ├ InvalidInput          a value outside what is declared: field, value and remedy
          │   └ InvalidMatrix     matrix.toml or the knowledge file: file, key and what was expected
          ├ MessageTooLarge       more than a record may hold
          ├ IdConflict            an id that another body already has
          ├ NotFound              no such version, run, request, snapshot
          ├ AccessDenied          no key, an unknown key, or a key without the scope
          ├ IllegalTransition     a status that may not follow the present one
          ├ SnapshotCorrupt       bytes that do not have the hash they are named by
          ├ ArtifactCorrupt       an adapter or artifact whose bytes are not its digest's
          ├ RunDiverged           a loss that is not a number
          ├ Declined              asked for rightly, and a rule stands against it
          │   ├ GateNotPassed     promotion asked for without a passed gate report
          │   ├ ApprovalRefused   the author approves, or the same person twice
          │   ├ ApprovalVoid      what was approved is no longer what would be promoted
          │   └ ServingNotProven  a policy server does not serve the bytes it was told to load
          ├ DeadLetterLimitReached  a stream that sets aside too much to go on
          └ StackFailed           a part of the local stack is missing or did not start

HTTP codes live in each stage's api.py; exit codes in its cli.py.
"""

from __future__ import annotations


class PlumblineError(Exception):
    """Everything Plumbline raises on purpose; `str()` is one line fit for a user."""


class Transient(PlumblineError):
    """Try again later."""


class Permanent(PlumblineError):
    """Trying again will not help; tell a person."""


class BrokerUnavailable(Transient):
    """Kafka or Redis does not answer."""


class DatabaseUnavailable(Transient):
    """PostgreSQL does not answer."""


class SamplerUnavailable(Transient):
    """A policy server does not answer."""


class Overloaded(Transient):
    """This process holds as much as it may; nothing of the request was taken."""

    def __init__(self, reason: str, *, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(reason)


class RateLimited(Overloaded):
    """This key sends faster than it may; nothing of the request was taken."""


class ObjectStoreUnavailable(Transient):
    """The object store cannot be read or written."""


class InvalidInput(Permanent):
    """A value outside what is declared."""

    def __init__(self, *, field: str, value: object, remedy: str) -> None:
        self.field, self.value, self.remedy = field, value, remedy
        super().__init__(f"{field}: {_shown(value)}: {remedy}")


class InvalidMatrix(InvalidInput):
    """A declaration file that does not hold together."""

    def __init__(self, *, file: str, key: str, value: object, expected: str) -> None:
        self.file, self.key, self.expected = file, key, expected
        super().__init__(field=f"{file}: {key}", value=value, remedy=f"expected {expected}")


class MessageTooLarge(Permanent):
    """More than a record may hold; `limit_bytes` is None where the broker has a lower limit of its own."""

    def __init__(self, *, topic: str, size_bytes: int, limit_bytes: int | None) -> None:
        self.topic, self.size_bytes, self.limit_bytes = topic, size_bytes, limit_bytes
        most = "more than its topic takes" if limit_bytes is None else f"{limit_bytes} at most"
        super().__init__(f"{topic}: a message of {size_bytes} bytes; {most}, send less at once")


class IdConflict(Permanent):
    """An id that another body already has; the first body stands."""

    def __init__(self, *, field: str) -> None:
        self.field = field
        super().__init__(f"{field}: already taken by another body; send it under an id of its own")


class NotFound(Permanent):
    """Nothing has this name."""

    def __init__(self, *, what: str, name: object) -> None:
        self.what, self.name = what, name
        super().__init__(f"no {what} named {_shown(name)}")


class AccessDenied(Permanent):
    """No key, an unknown key, or a key without the scope."""

    def __init__(self, *, scope: str, reason: str) -> None:
        self.scope, self.reason = scope, reason
        super().__init__(f"{reason}; needs a key with scope {scope!r}")


class IllegalTransition(Permanent):
    """A status that may not follow the present one."""

    def __init__(self, *, what: str, current: str, wanted: str) -> None:
        self.what, self.current, self.wanted = what, current, wanted
        super().__init__(f"{what} is {current} and cannot become {wanted}")


class _WrongBytes(Permanent):
    kind = "object"

    def __init__(self, uri: str, *, expected: str, found: str) -> None:
        self.uri, self.expected, self.found = uri, expected, found
        super().__init__(f"{self.kind} {uri}: expected {expected}, found {found}")


class SnapshotCorrupt(_WrongBytes):
    """A snapshot whose bytes do not have the hash they are named by."""

    kind = "snapshot"


class ArtifactCorrupt(_WrongBytes):
    """An adapter or learned artifact whose bytes are not its digest's."""

    kind = "artifact"


class RunDiverged(Permanent):
    """A loss that is not a number."""

    def __init__(self, *, run_id: str, step: int) -> None:
        self.run_id, self.step = run_id, step
        super().__init__(f"run {run_id} diverged at step {step}; its last checkpoint is kept")


class Declined(Permanent):
    """Asked for rightly, and a rule stands against it: a finding, and no fault of who asked."""


class GateNotPassed(Declined):
    """Promotion asked for without a passed gate report."""

    def __init__(self, *, version: str, verdict: str, cells: tuple[str, ...] = ()) -> None:
        self.version, self.verdict, self.cells = version, verdict, cells
        where = f" ({', '.join(cells)})" if cells else ""
        super().__init__(f"version {version} has gate verdict {verdict}{where}")


class ApprovalRefused(Declined):
    """The author approves, or the same person twice."""

    def __init__(self, *, actor: str, reason: str) -> None:
        self.actor, self.reason = actor, reason
        super().__init__(f"{actor} may not decide: {reason}")


class ApprovalVoid(Declined):
    """What was approved is no longer what would be promoted."""

    def __init__(self, *, request_id: str, reason: str) -> None:
        self.request_id, self.reason = request_id, reason
        super().__init__(f"request {request_id} is void: {reason}")


class ServingNotProven(Declined):
    """A policy server does not serve the bytes it was told to load."""

    def __init__(self, *, server: str, model: str, reason: str) -> None:
        self.server, self.model, self.reason = server, model, reason
        super().__init__(f"{server} does not prove that it serves {model}: {reason}")


class DeadLetterLimitReached(Permanent):
    """A stream that sets aside too much to go on."""

    def __init__(self, *, topic: str, run_length: int) -> None:
        self.topic, self.run_length = topic, run_length
        super().__init__(f"{topic}: {run_length} events in a row were set aside; stopped for a person to look")


class StackFailed(Permanent):
    """A part of the local stack is missing or did not start."""

    def __init__(self, *, part: str, reason: str, remedy: str) -> None:
        self.part, self.reason, self.remedy = part, reason, remedy
        super().__init__(f"{part}: {reason}. {remedy}")


def _shown(value: object) -> str:
    """Values come from users: shortened, so that an error stays one line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
