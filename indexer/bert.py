"""Which ONNX graph is a BERT with these tensors?

Covers: from the tensors of a BERT-architecture encoder to one float32 graph, pooling and unit length included, with
ONNX Runtime's fused operators; no torch. Leaves out: reading the tensors (``safetensors``), int8 (``int8_graph``),
files (``export``).

Inputs ``input_ids`` and ``attention_mask``: int64 (texts, tokens). Output ``vector``: float32 (texts, dims), of unit
length.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ctx42d.indexer.bundle import BundleError, Pooling

IR_VERSION = 8
OPSET = 17
_FUSED = "com.microsoft"


@dataclass(frozen=True, slots=True)
class BertConfig:
    """What the tensors don't say of themselves."""

    layers: int
    heads: int
    epsilon: float
    max_tokens: int
    pooling: Pooling

    @classmethod
    def read(cls, config: Mapping[str, Any], *, max_tokens: int, pooling: Pooling) -> "BertConfig":
        """From a Hugging Face ``config.json``. Raises BundleError if it isn't the BERT that this file can build."""
        kind, activation = config.get("model_type"), config.get("hidden_act")
        positions = config.get("position_embedding_type", "absolute")
        if (kind, activation, positions) != ("bert", "gelu", "absolute"):
            raise BundleError(
                f"a {kind} with {activation} and {positions} positions is not the BERT we can build directly"
            )
        try:
            return cls(
                layers=int(config["num_hidden_layers"]),
                heads=int(config["num_attention_heads"]),
                epsilon=float(config.get("layer_norm_eps", 1e-12)),
                max_tokens=min(max_tokens, int(config["max_position_embeddings"])),
                pooling=pooling,
            )
        except KeyError as error:
            raise BundleError(f"the model's config.json has no {error}") from error


def graph(tensors: Mapping[str, NDArray[Any]], config: BertConfig) -> onnx.ModelProto:
    """The float32 graph. Raises BundleError if a tensor is missing."""
    prefix = "bert." if "bert.embeddings.word_embeddings.weight" in tensors else ""
    try:
        return _Builder(tensors, prefix, config).build()
    except KeyError as error:
        raise BundleError(f"the model has no tensor {error}: not a BERT encoder") from error


class _Builder:
    """Nodes and weights in the order of the calls; a node is named by its output."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], prefix: str, config: BertConfig) -> None:
        self._tensors, self._prefix, self._config = tensors, prefix, config
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def build(self) -> onnx.ModelProto:
        x = self._embeddings()
        self._node("Cast", ["attention_mask"], "mask.i32", to=onnx.TensorProto.INT32)
        for layer in range(self._config.layers):
            x = self._layer(x, f"encoder.layer.{layer}")
        self._unit(self._pool(x))
        return self._model()

    def _tensor(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self._tensors[self._prefix + name], np.float32)

    def _weight(self, name: str, value: NDArray[Any]) -> str:
        self._weights.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def _parameter(self, name: str) -> str:
        return self._weight(name, self._tensor(name))

    def _node(self, op: str, inputs: list[str], output: str, *, fused: bool = False, **attributes: Any) -> str:
        domain = _FUSED if fused else ""
        self._nodes.append(helper.make_node(op, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def _matmul(self, x: str, name: str) -> str:
        return self._node("MatMul", [x, self._weight(f"{name}.weight", self._tensor(f"{name}.weight").T)], name)

    def _embeddings(self) -> str:
        words = self._node("Gather", [self._parameter("embeddings.word_embeddings.weight"), "input_ids"], "words")
        # Every token is of type 0, so that its type's vector is a part of its position's.
        positions = self._tensor("embeddings.position_embeddings.weight")[: self._config.max_tokens]
        positions = positions + self._tensor("embeddings.token_type_embeddings.weight")[0]
        self._weight("zero", np.array([0]))
        self._weight("one", np.array([1]))
        shape = self._node("Shape", ["input_ids"], "shape")
        length = self._node("Slice", [shape, "one", self._weight("two", np.array([2]))], "length")
        places = self._node("Slice", [self._weight("positions", positions), "zero", length, "zero"], "places")
        x = self._node("Add", [words, places], "embedded")
        norm = [self._parameter(f"embeddings.LayerNorm.{part}") for part in ("weight", "bias")]
        return self._node("LayerNormalization", [x, *norm], "x", axis=-1, epsilon=self._config.epsilon)

    def _layer(self, x: str, name: str) -> str:
        linears = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        bias = np.concatenate([self._tensor(f"{linear}.bias") for linear in linears])
        inputs = [*(self._matmul(x, linear) for linear in linears), self._weight(f"{name}.attention.bias", bias)]
        heads = self._config.heads
        attended = self._node(
            "MultiHeadAttention", [*inputs, "mask.i32"], f"{name}.attention", fused=True, num_heads=heads
        )
        y = self._skip_norm(x, attended, f"{name}.attention.output")
        inner = f"{name}.intermediate.dense"
        wide = self._node("Gelu", [self._linear(y, inner)], f"{inner}.gelu", fused=True)
        return self._skip_norm(y, wide, f"{name}.output")

    def _linear(self, x: str, name: str) -> str:
        return self._node("Add", [self._matmul(x, name), self._parameter(f"{name}.bias")], f"{name}.out")

    def _skip_norm(self, skipped: str, x: str, name: str) -> str:
        # Not SkipLayerNormalization: ONNX Runtime's is written without vector instructions, 870 against 190 us.
        total = self._node("Add", [skipped, self._linear(x, f"{name}.dense")], f"{name}.total")
        norm = [self._parameter(f"{name}.LayerNorm.{part}") for part in ("weight", "bias")]
        return self._node("LayerNormalization", [total, *norm], name, axis=-1, epsilon=self._config.epsilon)

    def _pool(self, x: str) -> str:
        """The sum over the text's own tokens (its direction is the mean's), or the first token."""
        if self._config.pooling == "cls":
            return self._node("Gather", [x, self._weight("first", np.array(0))], "pooled", axis=1)
        mask = self._node("Cast", ["attention_mask"], "mask.f32", to=onnx.TensorProto.FLOAT)
        row = self._node("Unsqueeze", [mask, "one"], "mask.row")
        return self._node("Squeeze", [self._node("MatMul", [row, x], "sum"), "one"], "pooled")

    def _unit(self, pooled: str) -> str:
        return self._node("LpNormalization", [pooled], "vector", axis=-1, p=2)

    def _model(self) -> onnx.ModelProto:
        dims = self._tensor("embeddings.LayerNorm.bias").shape[0]
        shape = ["texts", "tokens"]
        inputs = [
            helper.make_tensor_value_info(name, onnx.TensorProto.INT64, shape)
            for name in ("input_ids", "attention_mask")
        ]
        outputs = [helper.make_tensor_value_info("vector", onnx.TensorProto.FLOAT, ["texts", dims])]
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_FUSED, 1)]
        built = helper.make_graph(self._nodes, "encoder", inputs, outputs, self._weights)
        return helper.make_model(built, opset_imports=opsets, ir_version=IR_VERSION, producer_name="ctx42d")
