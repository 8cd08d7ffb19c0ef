"""The shipped model answers as sentence-transformers does, whatever the text, the batch and the memory."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from model_kit import MINILM, TORCH_PYTHON, cosines, needs_model, parity_texts, parity_vectors
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ctx42d.indexer import bundle, export, int8_graph
from ctx42d.indexer.bundle import DEFAULT_BUNDLE, BundleError
from ctx42d.indexer.model import DeepModel
from ctx42d.indexer.source_model import read_source

BATCH = {"micro_batch_tokens": 2048, "max_texts": 16}


@pytest.fixture(scope="module")
def model() -> DeepModel:
    return DeepModel.load(DEFAULT_BUNDLE, threads=2)


@pytest.fixture(scope="module")
def vectors(model: DeepModel) -> NDArray[np.float32]:
    return model.embed(parity_texts(), **BATCH)


class Recording:
    """A session that remembers the shapes it was run on, and answers with the real one."""

    def __init__(self) -> None:
        self.real = onnxruntime.InferenceSession(str(DEFAULT_BUNDLE / bundle.GRAPH), providers=["CPUExecutionProvider"])
        self.shapes: list[tuple[int, int]] = []

    def run(self, outputs: None, inputs: dict[str, NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        self.shapes.append(inputs["input_ids"].shape)
        return self.real.run(outputs, inputs)

    def model(self) -> DeepModel:
        tokenizer = Tokenizer.from_file(str(DEFAULT_BUNDLE / bundle.TOKENIZER))
        return DeepModel(bundle.read_manifest(DEFAULT_BUNDLE), tokenizer, self)


def test_int8_is_as_close_to_sentence_transformers_as_promised(vectors: NDArray[np.float32]) -> None:
    found = cosines(vectors, parity_vectors())
    assert len(found) == 200
    assert found.min() >= 0.985
    assert found.mean() >= 0.99
    # What was reached, so that a worse bundle is noticed: 0.9951 and 0.9980, a little less without VNNI.
    assert found.min() >= 0.993
    assert found.mean() >= 0.995


@needs_model
def test_the_float32_graph_equals_sentence_transformers(tmp_path: Path) -> None:
    source = read_source(Path(MINILM))
    int8_graph.save(export.fp32_graph(source), tmp_path / "g.onnx", tmp_path / "g.onnx.data")
    session = onnxruntime.InferenceSession(str(tmp_path / "g.onnx"), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(DEFAULT_BUNDLE / bundle.TOKENIZER))
    model = DeepModel(bundle.read_manifest(DEFAULT_BUNDLE), tokenizer, session)
    found = cosines(model.embed(parity_texts(), **BATCH), parity_vectors())
    assert found.min() >= 0.9999


@needs_model
def test_the_shipped_deep_files_are_made_from_the_published_weights(tmp_path: Path) -> None:
    for name in bundle.STATIC_FILES:
        (tmp_path / name).write_bytes(b"")
    made = export.write_deep_part(read_source(Path(MINILM)), tmp_path, "again", source="test")
    shipped = bundle.read_manifest(DEFAULT_BUNDLE)
    assert made.source_sha256 == shipped.source_sha256
    assert {name: made.files[name] for name in bundle.DEEP_FILES} == {
        name: shipped.files[name] for name in bundle.DEEP_FILES
    }


@needs_model
@pytest.mark.skipif(not TORCH_PYTHON, reason="neither here nor in CTX42D_TORCH_PYTHON is sentence-transformers")
def test_the_stored_vectors_are_what_sentence_transformers_gives() -> None:
    code = (
        "import sys, json, numpy; from sentence_transformers import SentenceTransformer;"
        "m = SentenceTransformer(sys.argv[1], device='cpu');"
        "numpy.save(sys.argv[2], m.encode(json.load(sys.stdin)[:20], normalize_embeddings=True))"
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [TORCH_PYTHON, "-c", code, MINILM, f"{folder}/v.npy"]
        subprocess.run(command, input=json.dumps(parity_texts()), text=True, check=True, capture_output=True)
        fresh = np.load(f"{folder}/v.npy")
    assert cosines(fresh, parity_vectors()[:20]).min() >= 0.9999


def test_a_vector_does_not_depend_on_its_batch(model: DeepModel, vectors: NDArray[np.float32]) -> None:
    texts = parity_texts()[:12]
    alone = np.concatenate([model.embed([text], **BATCH) for text in texts])
    assert np.abs(alone - vectors[:12]).max() < 1e-4


def test_odd_texts_have_vectors_too(model: DeepModel) -> None:
    texts = ["", " ", "\x00", "\ud83d\ude00" * 50, "a" * 5000, "x", "\u4f60\u597d", "\udcff"]
    found = model.embed([text.encode("utf-8", "replace").decode() for text in texts], **BATCH)
    assert found.shape == (len(texts), 384)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_no_texts_are_no_vectors(model: DeepModel) -> None:
    assert model.embed([], **BATCH).shape == (0, 384)


def test_what_stands_behind_the_256th_token_counts(model: DeepModel) -> None:
    head = "The parser reads a configuration file and reports mistakes. " * 40
    tail = "Dogs and cats sleep in the garden under a tree. " * 40
    whole, first, last = model.embed([head + tail, head, tail], **BATCH)
    assert float(whole @ first) > 0.6
    assert float(whole @ last) > 0.6
    assert float(first @ last) < 0.3


def test_where_not_the_whole_text_counts_only_what_the_model_reads_at_once_does(model: DeepModel) -> None:
    head = "The parser reads a configuration file and reports mistakes. " * 40
    long, short, other = model.embed(
        [head + "Dogs sleep in the garden. " * 40, head, "Dogs sleep."], **BATCH, whole=False
    )
    assert np.allclose(long, short, atol=1e-4)
    assert float(long @ other) < 0.3


@pytest.mark.parametrize(("tokens", "most"), [(512, 16), (2048, 3), (2048, 64), (1, 1)])
def test_micro_batches_stay_within_their_bounds(tokens: int, most: int) -> None:
    recording = Recording()
    texts = [*parity_texts()[:20], "word " * 600]
    recording.model().embed(texts, micro_batch_tokens=tokens, max_texts=most)
    assert all(n <= most for n, _ in recording.shapes)
    assert all(n * length <= tokens or n == 1 for n, length in recording.shapes)


def test_runs_are_told_by_one_of_a_few_lengths_that_they_fit_in() -> None:
    recording = Recording()
    model = recording.model()
    told: list[tuple[int, int]] = []
    model.embed(
        [*parity_texts()[:20], "word " * 600],
        micro_batch_tokens=512,
        max_texts=16,
        between=lambda: told.append(model.last_shape),
    )
    assert {length for _, length in told} <= set(model.buckets)
    for (count, length), (told_count, bucket) in zip(recording.shapes, told, strict=True):
        assert count == told_count
        assert length == bucket or length > max((known for known in model.buckets if known < bucket), default=0)


def test_a_more_urgent_caller_is_let_in_between_micro_batches() -> None:
    recording = Recording()
    seen: list[int] = []
    recording.model().embed(
        ["one", "two", "three"],
        micro_batch_tokens=8,
        max_texts=1,
        between=lambda: seen.append(len(recording.shapes)),
    )
    assert seen == [1, 2, 3]


def test_an_unknown_execution_provider_is_a_sentence() -> None:
    with pytest.raises(BundleError, match="can't be loaded"):
        DeepModel.load(DEFAULT_BUNDLE, threads=1, providers=["NoSuchExecutionProvider"])


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA binds only on Linux")
def test_too_little_memory_is_a_memory_error_and_the_next_batch_succeeds() -> None:
    code = """
import resource
from ctx42d.indexer.bundle import DEFAULT_BUNDLE
from ctx42d.indexer.model import DeepModel
model = DeepModel.load(DEFAULT_BUNDLE, threads=1)
model.embed(["warm"], micro_batch_tokens=64, max_texts=1)
data = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, ((data << 10) + (64 << 20),) * 2)
try:
    model.embed(["word " * 254] * 64, micro_batch_tokens=1 << 20, max_texts=64)
except MemoryError as error:
    print("refused:", error)
print(model.embed(["word"] * 2, micro_batch_tokens=64, max_texts=2).shape)
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["refused: the model has no memory for 64 x 256 tokens", "(2, 384)"], done.stderr
