"""What does the deep model read of a chunk?

Each of its words once, where it comes first, identifiers split: half of the tokens of code are punctuation, and most of
the other half are names said again. A text of 200 tokens (the first 256 counted) becomes one of 56, of the whole chunk,
for a quarter of the processor time and with answers no worse (docs/search.md). Leaves what counts as a word to
`words.py`. Only for the shipped model, which was taught sentences: another bundle's may know what punctuation means.
"""

from __future__ import annotations

from ctx42d.indexer.words import tokens

READING = "each word once"
"""Changes when the brief of some text changes: vectors made of another one don't fit."""


def brief(text: str) -> str:
    """The distinct words of `text` in order, lower-case, with spaces between them. Empty if it has none."""
    return " ".join(dict.fromkeys(tokens(text).words))
