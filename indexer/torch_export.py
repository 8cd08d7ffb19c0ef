"""Which ONNX graph is a model that only torch knows?

Covers: fetching a model by name and tracing a whole sentence-transformers pipeline (transformer, pooling, dense
layers) with torch. Needs the extra ``ctx42d[export]``; importing this file without it raises ImportError. Leaves out:
plain BERT (``bert``), int8 (``int8_graph``).

The graph has the inputs and the output of ``bert``'s.
"""

import io
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from sentence_transformers import SentenceTransformer

from ctx42d.indexer.bundle import BundleError
from ctx42d.indexer.source_model import SourceModel

_OPSET = 17
_INPUTS = ["input_ids", "attention_mask"]


class _Pipeline(torch.nn.Module):  # type: ignore[misc]  # torch isn't there when types are checked
    """A sentence-transformers model as a function of tensors."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Unit vectors (texts, dims)."""
        found = self.model({"input_ids": input_ids, "attention_mask": attention_mask})
        return torch.nn.functional.normalize(found["sentence_embedding"], dim=-1)


def fetch(name: str, folder: Path) -> None:
    """Save the model that sentence-transformers knows as ``name`` into ``folder``. Raises BundleError."""
    try:
        SentenceTransformer(name, device="cpu").save(str(folder))
    except (OSError, ValueError) as error:
        raise BundleError(f"sentence-transformers has no model {name}: {_first_line(error)}") from error


def graph(source: SourceModel) -> onnx.ModelProto:
    """The float32 graph of the model in ``source``. Raises BundleError if it can't be loaded or traced."""
    try:
        # Attention written out: the fused kernels of torch have no counterpart in ONNX.
        model = SentenceTransformer(
            str(source.folder),
            device="cpu",
            model_kwargs={"attn_implementation": "eager", "torch_dtype": torch.float32},
        )
        return _traced(_Pipeline(model.eval()))
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise BundleError(f"the model in {source.folder} can't be exported: {_first_line(error)}") from error


def _traced(pipeline: _Pipeline) -> onnx.ModelProto:
    buffer = io.BytesIO()
    ids = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 0, 0]])
    axes: dict[str, Any] = {name: {0: "texts", 1: "tokens"} for name in _INPUTS} | {"vector": {0: "texts"}}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every shape it reads
        torch.onnx.export(
            pipeline,
            (ids, (ids > 0).long()),
            buffer,
            input_names=_INPUTS,
            output_names=["vector"],
            dynamic_axes=axes,
            opset_version=_OPSET,
            dynamo=False,
        )
        dims = pipeline(ids, (ids > 0).long()).shape[-1]
    traced = onnx.load_from_string(buffer.getvalue())
    traced.graph.output[0].type.tensor_type.shape.dim[-1].dim_value = dims  # tracing doesn't always know it
    return traced


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
