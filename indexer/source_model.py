"""What does a sentence-transformers model folder say about itself?

Covers: its name, pooling, limits and licence, read from its JSON files; whether the graph can be built directly from
its tensors. Leaves out: the tensors (``safetensors``) and the building (``bert``, ``torch_export``).
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctx42d.indexer.bundle import BundleError, Pooling

LONGEST_WINDOW = 512
"""Attention needs memory by the square of the length; longer texts are cut in windows and pooled."""

_POOLING_KEYS: dict[str, Pooling] = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_POOLING_NAMES: dict[str, Pooling] = {"mean": "mean", "cls": "cls"}
_PLAIN_MODULES = ["Transformer", "Pooling"]
_LICENCE = re.compile(r"^license:\s*(\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SourceModel:
    """A model folder as found; ``pooling`` is None where only the model's own code can pool (more modes or modules)."""

    folder: Path
    config: dict[str, Any]
    tokenizer: dict[str, Any]
    max_tokens: int
    pooling: Pooling | None
    licence: str

    @property
    def weights(self) -> Path:
        """The tensors, whether they are there or not."""
        return self.folder / "model.safetensors"

    @property
    def is_plain_bert(self) -> bool:
        """Whether the graph can be built without torch."""
        return self.config.get("model_type") == "bert" and self.pooling is not None and self.weights.is_file()


def read_source(folder: Path) -> SourceModel:
    """Read the model in ``folder``. Raises BundleError: not a folder, or a file that is missing or not JSON."""
    if not folder.is_dir():
        raise BundleError(f"{folder} is not a folder with a sentence-transformers model")
    config = _json(folder / "config.json")
    return SourceModel(
        folder=folder,
        config=config,
        tokenizer=_json(folder / "tokenizer.json") | {"truncation": None, "padding": None},
        max_tokens=_max_tokens(folder, config),
        pooling=_pooling(folder),
        licence=_licence(folder / "README.md"),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise BundleError(f"the model folder {path.parent} is incomplete: no {path.name} ({error.strerror})") from error
    except ValueError as error:
        raise BundleError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path} holds a {type(content).__name__}, not the settings of a model")
    return content


def _max_tokens(folder: Path, config: dict[str, Any]) -> int:
    limits = [config.get("max_position_embeddings")]
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        if (folder / name).is_file():
            limits.append(_json(folder / name).get(key))
    return min([LONGEST_WINDOW, *(int(limit) for limit in limits if limit)])


def _pooling(folder: Path) -> Pooling | None:
    modules = folder / "modules.json"
    if not modules.is_file():
        return "mean"  # what sentence-transformers does with a bare transformer
    kinds = {entry["type"].rsplit(".", 1)[-1]: entry["path"] for entry in json.loads(modules.read_bytes())}
    kinds.pop("Normalize", None)
    if list(kinds) != _PLAIN_MODULES:
        return None
    settings = _json(folder / kinds["Pooling"] / "config.json")
    if "pooling_mode" in settings:
        return _POOLING_NAMES.get(settings["pooling_mode"])
    modes = [key for key, value in settings.items() if key.startswith("pooling_mode_") and value]
    return _POOLING_KEYS.get(modes[0]) if len(modes) == 1 else None


def _licence(card: Path) -> str:
    found = _LICENCE.search(card.read_text(encoding="utf-8", errors="replace")) if card.is_file() else None
    return found.group(1) if found else "unknown"
