"""Which predictor knows the peaks of which worker?

A model of its own has a predictor of its own, by the role of its workers; all other workers share the first one. Leaves
predicting to `predictor.py`. Not thread-safe: `batches.py` holds the lock.
"""

from __future__ import annotations

from ctx42d.memory.predictor import Accuracy, Predictor, accuracy


class Predictors:
    """The predictors by role."""

    def __init__(self, shared: Predictor) -> None:
        self.shared = shared
        self._own: dict[str, Predictor] = {}

    def of(self, role: str) -> Predictor:
        """Return the predictor of a role."""
        return self._own.get(role, self.shared)

    def set(self, role: str, predictor: Predictor) -> None:
        """Give a role a predictor of its own; "": the one that is shared."""
        if role:
            self._own[role] = predictor
        else:
            self.shared = predictor

    def accuracy(self) -> Accuracy:
        """Compare the last predictions of all of them with what was observed."""
        return accuracy([pair for one in (self.shared, *self._own.values()) for pair in one.outcomes])
