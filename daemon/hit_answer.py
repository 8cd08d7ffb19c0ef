"""What does a hit look like on the socket? The same for every method that answers with hits."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from ctx42d.indexer.hits import Hit


def hit_answer(hit: Hit, *, explain: bool = False) -> dict[str, Any]:
    """A hit as JSON; `explain`: with the share that each signal has in its score."""
    answer: dict[str, Any] = {
        "path": os.fsdecode(hit.path),
        "root": os.fsdecode(hit.root),
        "relpath": os.fsdecode(hit.relpath),
        "start_line": hit.start_line,
        "end_line": hit.end_line,
        "language": hit.language,
        "symbol": hit.symbol,
        "kind": hit.kind,
        "score": round(hit.score, 6),
        "fresh": hit.fresh,
        "text": hit.text,
    }
    if hit.focus is not None:
        answer["focus"] = {"start_line": hit.start_line + hit.focus[0], "end_line": hit.start_line + hit.focus[1]}
    if hit.context is not None:
        first, lines = hit.context
        answer["context"] = {"start_line": first, "end_line": first + len(lines) - 1, "text": "\n".join(lines)}
    if hit.also:
        answer["also"] = [{"path": os.fsdecode(path), "start_line": line} for path, line in hit.also]
    if hit.further:
        answer["further"] = [asdict(passage) for passage in hit.further]
    if explain:
        answer["explain"] = {signal: round(share, 6) for signal, share in hit.shares.items()}
    return answer
