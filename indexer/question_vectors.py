"""Which vector has a question in each of the models that read the folders it is about?

Each model has its own worker, and there may not be room for all of them. Models that are there answer first; only then
are others asked, so that loading one takes no place of one that this very question needs. Leaves the vectors of texts,
and a worker's life, to `embedding.py`; which worker leaves for another one to `governor.py`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ctx42d.indexer.embedding import UNANSWERED, EmbeddingService

COLD_START_S = 0.5


def ask_ahead(services: Mapping[str, EmbeddingService], text: str) -> None:
    """Have the models that are there read a question; `question_vectors` finds what they are at."""
    for service in services.values():
        if service.is_ready(text):
            with contextlib.suppress(*UNANSWERED):
                service.ask(text)


def question_vectors(
    services: Mapping[str, EmbeddingService], text: str, *, wait_s: float
) -> dict[str, NDArray[np.float32]]:
    """Unit vectors (dims,) by model, of those models that have one within `wait_s`, all of them together."""
    deadline = time.monotonic() + wait_s
    ready = {model: service for model, service in services.items() if service.is_ready(text)}
    found = _answers(ready, text, deadline)
    others = {model: service for model, service in services.items() if model not in ready}
    # A wait that is in vain isn't waited: the model is being loaded then, for the next question.
    enough = deadline - time.monotonic() >= COLD_START_S
    return found | _answers(others, text, deadline if enough else 0.0)


def _answers(services: Mapping[str, EmbeddingService], text: str, deadline: float) -> dict[str, NDArray[np.float32]]:
    asked, found = {}, {}
    for model, service in services.items():
        try:
            asked[model] = service.ask(text)
        except UNANSWERED:
            continue
    for model, answer in asked.items():
        try:
            found[model] = answer.result(timeout=max(0.0, deadline - time.monotonic()))
        except UNANSWERED:
            continue
    return found
