"""What the tests of bundles and models share: the parity fixture, a tiny model folder, a bundle made of it."""

import json
import os
import shutil
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

FIXTURES = Path(__file__).parent / "fixtures"
MINILM = os.environ.get("CTX42D_MINILM_DIR", "")
# An interpreter that has sentence-transformers (and torch, which our own environment need not have).
TORCH_PYTHON = os.environ.get("CTX42D_TORCH_PYTHON") or (sys.executable if find_spec("sentence_transformers") else "")
needs_model = pytest.mark.skipif(
    not Path(MINILM, "model.safetensors").is_file(),
    reason="CTX42D_MINILM_DIR names no folder with all-MiniLM-L6-v2 (bench/build_bundle.py downloads it)",
)

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "def", "class", "return", "user", "file", "open", "close", "a", "b"]


def parity_texts() -> list[str]:
    """200 chunks of our own code, each of at most 256 tokens."""
    return json.loads((FIXTURES / "parity.json").read_text(encoding="utf-8"))


def parity_vectors() -> NDArray[np.float32]:
    """What sentence-transformers makes of them, float32 (200, 384), unit rows."""
    stored = np.load(FIXTURES / "parity.npz")["vectors"].astype(np.float32)
    return stored / np.linalg.norm(stored, axis=1, keepdims=True)


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the rows of ``a`` with those of ``b``, all of unit length."""
    return (a * b).sum(axis=1)


def tiny_bert(
    folder: Path, *, pooling: str = "mean_tokens", model_type: str = "bert", words: list[str] = WORDS
) -> Path:
    """A sentence-transformers folder: a BERT of 2 layers and 32 dimensions, random weights, few words."""
    (folder / "1_Pooling").mkdir(parents=True)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    limits = {"max_position_embeddings": 64, "vocab_size": len(words), "layer_norm_eps": 1e-12}
    _write(folder / "config.json", {"model_type": model_type, "hidden_act": "gelu", **sizes, **limits})
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 48})
    _write(folder / "1_Pooling/config.json", {f"pooling_mode_{pooling}": True, "word_embedding_dimension": 32})
    kinds = ["Transformer", "Pooling", "Normalize"]
    paths = ["", "1_Pooling", "2_Normalize"]
    _write(folder / "modules.json", [{"type": f"st.{k}", "path": p} for k, p in zip(kinds, paths, strict=True)])
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    _tokenizer(words).save(str(folder / "tokenizer.json"))
    write_safetensors(folder / "model.safetensors", bert_tensors(len(words)))
    return folder


def bert_tensors(words: int, dims: int = 32, inner: int = 64, layers: int = 2) -> dict[str, NDArray[np.float32]]:
    """Random weights under the names that Hugging Face gives them."""
    random = np.random.default_rng(42)

    def norm(name: str) -> dict[str, tuple[int, ...]]:
        return {f"{name}.LayerNorm.weight": (dims,), f"{name}.LayerNorm.bias": (dims,)}

    def linear(name: str, n_out: int, n_in: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}

    kinds = {"word": words, "position": 64, "token_type": 2}
    shapes: dict[str, tuple[int, ...]] = {f"embeddings.{k}_embeddings.weight": (n, dims) for k, n in kinds.items()}
    shapes |= norm("embeddings")
    for layer in (f"encoder.layer.{i}" for i in range(layers)):
        for part in ("query", "key", "value"):
            shapes |= linear(f"{layer}.attention.self.{part}", dims, dims)
        shapes |= linear(f"{layer}.attention.output.dense", dims, dims) | norm(f"{layer}.attention.output")
        shapes |= linear(f"{layer}.intermediate.dense", inner, dims)
        shapes |= linear(f"{layer}.output.dense", dims, inner) | norm(f"{layer}.output")
    return {
        name: (random.normal(0, 0.3, shape) + name.endswith("LayerNorm.weight")).astype(np.float32)
        for name, shape in shapes.items()
    }


def write_safetensors(path: Path, tensors: dict[str, NDArray[np.float32]]) -> None:
    """Length, header, raw tensors."""
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t.tobytes() for t in tensors.values()))


def copied(bundle: Path, target: Path) -> Path:
    """A bundle of its own to harm."""
    shutil.copytree(bundle, target)
    return target


def _tokenizer(words: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    specials = [(word, words.index(word)) for word in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=specials)
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    return tokenizer


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))
