"""Which shape will the model see for these texts, before anything was tokenized?

Pure, for the daemon's side: cuts a batch into requests that are short enough for a question to wait behind one, and
guesses the micro-batch that will need most memory. The worker tokenizes, and reports the shape that it really had.
Leaves what a shape needs to `ctx42d.memory.predictor`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

CHARS_PER_TOKEN = 3  # of source code, rather too few: the worker counts exactly
LEAST_CHARS_PER_TOKEN = 2  # for memory the guess errs to the long side
LONGEST_WINDOW = 256
# As indexer/model.py tells what it ran (a test compares them): only shapes that really occur are learned.
BUCKETS = (8, 16, 32, 64, 96, 128, 160, 192, 224, 256)
# A text is held as Python string, as message, and by the tokenizer, with offsets; 2026-11: 30 bytes a character.
TEXT_BYTES_PER_CHAR = 32


def requests(texts: Sequence[str], tokens: int) -> Iterator[Sequence[str]]:
    """Cut a batch where the expected tokens exceed `tokens`; a text alone may exceed them."""
    start = used = 0
    for end, text in enumerate(texts):
        expected = min(len(text) // CHARS_PER_TOKEN + 2, LONGEST_WINDOW)
        if end > start and used + expected > tokens:
            yield texts[start:end]
            start, used = end, 0
        used += expected
    yield texts[start:]


def heaviest(texts: Sequence[str], tokens: int, *, whole: bool = True) -> tuple[int, int]:
    """Return the micro-batch of most memory within micro-batches of so many tokens: (texts, padded length).

    `whole`: long texts are read in several windows.
    """
    longest = min(max(len(text) for text in texts) // LEAST_CHARS_PER_TOKEN + 2, LONGEST_WINDOW)
    length = next(bucket for bucket in BUCKETS if bucket >= longest)
    windows = sum(len(text) // (LEAST_CHARS_PER_TOKEN * LONGEST_WINDOW) + 1 for text in texts) if whole else len(texts)
    return max(1, min(windows, tokens // length)), length


def text_bytes(texts: Sequence[str]) -> int:
    """Return what holding and tokenizing the texts needs, whatever their windows: it only matters for huge ones."""
    return sum(len(text) for text in texts) * TEXT_BYTES_PER_CHAR
