"""How long this process waits for PostgreSQL: not for ever, unless it is asked to."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url, text

from infra.database import STATEMENT_S, Database
from matrix.errors import DatabaseUnavailable


def setting(database: Database, name: str) -> str:
    with database.unit_of_work() as session:
        return str(session.connection().execute(text(f"SHOW {name}")).scalar_one())


def test_a_statement_that_takes_too_long_is_given_up(database_url: str) -> None:
    database = Database(database_url, statement_s=0.05)
    with pytest.raises(DatabaseUnavailable, match="statement timeout"), database.unit_of_work() as session:
        session.connection().execute(text("SELECT pg_sleep(60)"))
    database.close()


def test_every_connection_is_given_up_in_time_and_a_url_may_say_otherwise(database_url: str) -> None:
    url = make_url(database_url)
    usual = Database(database_url)
    patient = Database(
        url.update_query_dict({"options": "-c statement_timeout=0"}).render_as_string(hide_password=False)
    )
    assert setting(usual, "statement_timeout") == f"{STATEMENT_S / 60:g}min"
    assert setting(patient, "statement_timeout") == "0"
    usual.close()
    patient.close()
