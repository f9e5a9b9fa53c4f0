"""Addresses of one deployment, read from PLUMBLINE_* variables, else from the running local stack's file.

Choices that belong to a run live in its recipe, not here. A stage's settings.py adds its own limits by subclassing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from matrix.errors import InvalidInput

DEFAULT_HOME = Path(".plumbline")


def stack_env_file() -> Path:
    """Where a running local stack leaves its addresses for commands in other terminals."""
    return Path(os.environ.get("PLUMBLINE_HOME", DEFAULT_HOME)) / "stack.env"


class Settings(BaseSettings):
    """What every process needs to find the others."""

    model_config = SettingsConfigDict(env_prefix="PLUMBLINE_", extra="ignore")

    home: Path = DEFAULT_HOME
    database_url: SecretStr = SecretStr("postgresql+psycopg://plumbline@127.0.0.1:5432/plumbline")
    kafka: str = "127.0.0.1:9092"
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    objects_dir: Path = DEFAULT_HOME / "objects"
    matrix_file: Path = Path("matrix.toml")
    knowledge_file: Path = Path("infra/demo/clinic.toml")
    policy: str = Field(default="clinic-assistant", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    gateway_url: str = "http://127.0.0.1:8080"
    registry_url: str = "http://127.0.0.1:8081"
    policy_server_urls: Annotated[tuple[str, ...], NoDecode] = ("http://127.0.0.1:8000",)
    base_model: Path | None = None
    gate_prompts_file: Path | None = None
    api_key: SecretStr | None = None  # of the person or service that runs a command
    log_level: Literal["debug", "info", "warning", "error"] = "warning"

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not key.get_secret_value().isascii():
            raise ValueError("a key has ASCII characters only; was it copied whole?")
        return key

    @field_validator("gateway_url", "registry_url", "policy_server_urls")
    @classmethod
    def _lead_to_a_server(cls, told: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for url in (told,) if isinstance(told, str) else told:
            if not _is_address(url):
                raise ValueError("an address is written like http://127.0.0.1:8081")
        return told

    @field_validator("policy_server_urls", mode="before")
    @classmethod
    def _split_at_commas(cls, urls: object) -> object:
        return tuple(url.strip() for url in urls.split(",") if url.strip()) if isinstance(urls, str) else urls

    @classmethod
    def load(cls) -> Self:
        """Settings of this process: the environment first, then the local stack's file, then the defaults."""
        try:
            return cls(_env_file=stack_env_file())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = "_".join(("PLUMBLINE", *(str(part).upper() for part in first["loc"][:1])))
            hidden = any(part in name.lower() for part in ("url", "key", "secret"))
            value = "(not shown)" if hidden else first["input"]
            raise InvalidInput(
                field=name, value=value, remedy=str(first["msg"]).removeprefix("Value error, ")
            ) from None


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half a bracket
        return False
    return known and url.isprintable() and " " not in url
