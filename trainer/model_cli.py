"""The commands of `plumbline trainer` that load a model: worker, serve, fit-base."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path

import click
import uvicorn
from pydantic import ValidationError
from transformers.utils.logging import disable_progress_bar

from infra.console import echo_json, people, progress
from matrix.errors import InvalidInput
from matrix.messages.base import Value
from matrix.messages.completion import ChatMessage
from trainer.app import make_policy_server, run_worker
from trainer.base_model import BaseConfig
from trainer.base_model import fit_base as fit
from trainer.declarations import read_text
from trainer.settings import TrainerSettings


class _Row(Value):
    """One dialogue; its last message is the answer to learn."""

    messages: tuple[ChatMessage, ...]

    @classmethod
    def parsed(cls, line: str, where: str) -> _Row:
        """The row; InvalidInput names where a bad one stands."""
        try:
            return cls.model_validate_json(line)
        except ValidationError as error:
            remedy = f'a row {{"messages": [{{"role": ..., "content": ...}}]}}: {error.errors()[0]["msg"]}'
            raise InvalidInput(field=where, value=line, remedy=remedy) from error


def _quiet() -> None:
    """No bars but ours: transformers draws one for every file of weights."""
    disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers


@click.command()
def worker() -> int:
    """Train and evaluate: one task at a time from the queue `trainer`, until SIGTERM."""
    _quiet()
    recipes = import_module("trainer.recipes")
    settings = TrainerSettings.load()
    return run_worker(settings, recipes.read_recipe(settings), recipes.learned_for(settings))


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Loopback unless the network is internal.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
def serve(host: str, port: int) -> None:
    """Serve the base model and the adapters loaded on it. It asks for no key: never expose it."""
    _quiet()
    app = make_policy_server(TrainerSettings.load())
    uvicorn.run(app, host=host, port=port, log_config=None, access_log=False)


@click.command("fit-base")
@click.argument("corpus", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", "--output", "out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--steps", default=None, type=click.IntRange(min=1), help="Default: what the model's size needs.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON on standard output.")
def fit_base(corpus: Path, out: Path, *, seed: int, steps: int | None, as_json: bool) -> None:
    """Fit a small base model and its tokenizer to CORPUS, JSON lines of {"messages": [...]}."""
    if out.exists() and any(out.iterdir()):
        raise InvalidInput(field="--out", value=str(out), remedy="a folder that is empty or does not exist")
    _quiet()
    started = time.monotonic()
    lines = read_text(corpus, field="CORPUS").splitlines()
    dialogues = [_Row.parsed(line, f"{corpus}:{number}").messages for number, line in enumerate(lines, 1)]
    config = BaseConfig(seed=seed) if steps is None else BaseConfig(seed=seed, steps=steps)
    with progress() as bar:
        task = bar.add_task("fitting the base model", total=config.steps)
        digest = fit(dialogues, out, config, lambda done, _of, _loss: bar.update(task, completed=done))
    answer = {"digest": digest, "path": str(out), "seconds": round(time.monotonic() - started, 2)}
    if as_json:
        echo_json(answer)
    else:
        people().print(f"base model {digest[:12]} in {out}, fitted in {answer['seconds']} s")


COMMANDS = {"worker": worker, "serve": serve, "fit-base": fit_base}
