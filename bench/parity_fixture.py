"""The vectors that sentence-transformers gives 200 chunks of this repository's own code, stored for the parity tests.

    python bench/parity_fixture.py MODEL_FOLDER      writes tests/fixtures/parity.json and parity.npz

Needs sentence-transformers and torch. The texts are stored with the vectors, so that later changes of the code don't
matter. Chunks have 100 to 1,100 characters and at most 256 tokens: beyond, sentence-transformers drops the rest, we
pool windows.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
CHUNKS = 200
SIZES = (100, 200, 400, 600, 800, 1100)


def chunks(model: SentenceTransformer) -> list[str]:
    """Runs of lines of our own files, of the SIZES in turn, evenly chosen from all files."""
    found: list[str] = []
    for path in sorted(path for folder in ("daemon", "indexer", "memory") for path in (ROOT / folder).glob("*.py")):
        text, start = path.read_text(encoding="utf-8"), 0
        while start < len(text):
            size = SIZES[len(found) % len(SIZES)]
            end = text.find("\n", start + size) + 1 or len(text)
            found.append(text[start:end])
            start = end
    fitting = [text for text in found if text.strip() and len(model.tokenizer(text)["input_ids"]) <= 256]
    return [fitting[i * len(fitting) // CHUNKS] for i in range(CHUNKS)]


def main() -> None:
    """Embed and store."""
    model = SentenceTransformer(sys.argv[1], device="cpu")
    texts = chunks(model)
    vectors = model.encode(texts, normalize_embeddings=True)
    FIXTURES.mkdir(parents=True, exist_ok=True)
    (FIXTURES / "parity.json").write_text(json.dumps(texts, indent=0) + "\n", encoding="utf-8")
    np.savez_compressed(FIXTURES / "parity.npz", vectors=vectors.astype(np.float16))
    print(f"{len(texts)} chunks, {sum(map(len, texts))} characters")


if __name__ == "__main__":
    main()
