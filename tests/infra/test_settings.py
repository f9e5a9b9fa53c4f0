"""Settings come from the environment, then from the running stack; a bad one is named, a secret never shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.settings import Settings
from matrix.errors import InvalidInput


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path))
    return tmp_path


def test_the_environment_wins_over_the_running_stack(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "stack.env").write_text("PLUMBLINE_KAFKA=127.0.0.1:1\nPLUMBLINE_POLICY=from-the-stack\n")
    monkeypatch.setenv("PLUMBLINE_KAFKA", "127.0.0.1:2")
    settings = Settings.load()
    assert (settings.kafka, settings.policy) == ("127.0.0.1:2", "from-the-stack")


def test_several_policy_servers_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_POLICY_SERVER_URLS", "http://a:1, http://b:2")
    assert Settings.load().policy_server_urls == ("http://a:1", "http://b:2")


def test_a_bad_value_is_refused_by_its_variables_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_POLICY", "Not A Name")
    with pytest.raises(InvalidInput, match=r"PLUMBLINE_POLICY: .Not A Name"):
        Settings.load()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_API_KEY", "plb_secret")
    assert "plb_secret" not in repr(Settings.load())


BAD_ADDRESSES = (
    "http://127.0.0.1:abc",
    "http://127.0.0.1:70000",
    "127.0.0.1:8081",
    "http://",
    "http://a b",
    "http://[::1",
)


@pytest.mark.parametrize("value", BAD_ADDRESSES)
@pytest.mark.parametrize("variable", ["GATEWAY_URL", "REGISTRY_URL", "POLICY_SERVER_URLS"])
def test_an_address_that_leads_nowhere_is_refused(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"PLUMBLINE_{variable}", value)
    with pytest.raises(InvalidInput, match=f"PLUMBLINE_{variable}: .*: an address is written like"):
        Settings.load()


@pytest.mark.parametrize("value", ["http://registry:8081", "https://plumbline.example/registry", "http://[::1]:8081"])
def test_addresses_of_other_hosts_are_taken(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_REGISTRY_URL", value)
    assert Settings.load().registry_url == value


@pytest.mark.parametrize(
    ("variable", "value"), [("LOG_LEVEL", "verbose"), ("API_KEY", "schlüssel"), ("DATABASE_URL", "foo")]
)
def test_a_bad_variable_is_one_line_and_exit_2(variable: str, value: str, home: Path) -> None:
    environment = {**os.environ, f"PLUMBLINE_{variable}": value}
    command = [sys.executable, "-m", "infra.cli", "keys", "list"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert f"PLUMBLINE_{variable}" in line
