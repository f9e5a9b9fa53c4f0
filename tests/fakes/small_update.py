"""A recipe with nothing clever in it: a LoRA adapter on the tiny Qwen3, fitted to a snapshot's texts by AdamW."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save

from tests.fakes.tiny_qwen import tiny_model, tiny_tokenizer
from trainer.snapshots import Snapshot


@dataclass
class SmallRecipe:
    name: str
    steps: int
    after_step: Callable[[int], None] = lambda step: None
    diverges_at: int | None = None
    before_start: Callable[[Mapping[str, bytes] | None], None] = lambda champion: None

    def open(self, snapshot: Snapshot, champion: Mapping[str, bytes] | None) -> SmallUpdate:
        self.before_start(champion)
        return SmallUpdate(self, snapshot)


class SmallUpdate:
    def __init__(self, recipe: SmallRecipe, snapshot: Snapshot) -> None:
        tokenizer = tiny_tokenizer()
        texts = [sample.completion for sample in snapshot.samples]
        self._batch = [torch.tensor([tokenizer.encode(text)]) for text in texts]
        config = LoraConfig(r=2, lora_alpha=4, target_modules="all-linear", lora_dropout=0.1)
        self._model = get_peft_model(tiny_model(len(tokenizer)), config)
        trained = [parameter for parameter in self._model.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(trained, lr=0.01)
        self._recipe, self.steps, self.step = recipe, recipe.steps, 0
        torch.manual_seed(11)

    def advance(self) -> Mapping[str, float]:
        tokens = self._batch[int(torch.randint(len(self._batch), ()))]
        loss = self._model(input_ids=tokens, labels=tokens).loss
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self.step += 1
        self._recipe.after_step(self.step)
        return {"loss": float("nan") if self.step == self._recipe.diverges_at else float(loss)}

    def state(self) -> Mapping[str, Any]:
        weights = dict(get_peft_model_state_dict(self._model))
        return {
            "step": self.step,
            "weights": weights,
            "optimizer": self._optimizer.state_dict(),
            "generator": torch.get_rng_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.step = state["step"]
        set_peft_model_state_dict(self._model, dict(state["weights"]))
        self._optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["generator"])

    def weighings(self) -> list[dict[str, Any]]:
        return [{"step": 0, "weights": {"right": 1.0}}]

    def adapter_files(self) -> Mapping[str, bytes]:
        weights = {name: tensor.contiguous() for name, tensor in get_peft_model_state_dict(self._model).items()}
        with tempfile.TemporaryDirectory() as folder:
            self._model.peft_config["default"].save_pretrained(folder)
            config = json.loads((Path(folder) / "adapter_config.json").read_text())
        return {
            "adapter_config.json": json.dumps(config, sort_keys=True).encode(),
            "adapter_model.safetensors": save(weights, metadata={"format": "pt"}),
        }
