"""A worker of one agent that writes numbers it is sent; its argument says how it behaves."""

from __future__ import annotations

import sys
import time

from sqlalchemy import text

from infra.database import Database
from infra.settings import Settings
from infra.streams import Incoming, batched_agent, make_app, run_worker
from matrix.errors import DatabaseUnavailable
from matrix.topics import FEEDBACK_RECEIVED


class Numbers:
    def __init__(self, database: Database, behaviour: str) -> None:
        self.database, self.behaviour, self.attempt = database, behaviour, 0

    def handle(self, batch: list[Incoming]) -> None:
        self.attempt += 1
        if self.behaviour == "raises" and self.attempt > 1:
            raise ZeroDivisionError
        if self.behaviour == "transient" and self.attempt % 2:
            raise DatabaseUnavailable("away")
        rows = [
            {"number": one.value["number"], "attempt": self.attempt} for one in batch if isinstance(one.value, dict)
        ]
        with self.database.unit_of_work() as session:
            session.connection().execute(text("INSERT INTO public.seen VALUES (:number, :attempt)"), rows)
        if self.behaviour == "slow":
            time.sleep(0.5)  # the kill falls between the write and the acknowledgement


def main() -> None:
    settings = Settings.load()
    numbers = Numbers(Database(settings.database_url.get_secret_value()), sys.argv[1])
    app = make_app("numbers", settings)
    batched_agent(app, [FEEDBACK_RECEIVED], numbers.handle, name="numbers", max_events=20)
    run_worker(app, name="numbers")


if __name__ == "__main__":
    main()
