"""The static word table, trained on pairs of what people write about code and the code.

    python bench/train_static.py WORK START OUTPUT [options]     WORK/pairs: what mine_pairs.py wrote; OUTPUT: an .npz

Each word has one row; a text is the sum of the rows of its words, made unit length, as in the product. Rows begin as
START, which distill_static.py wrote. A step takes `batch` pairs and asks of each query which of the batch's codes is
its own, and of each code which query (InfoNCE both ways, temperature 0.05: van den Oord, Li, Vinyals 2018); groups of
`group` pairs of one package make the other codes as hard as those that a search has to tell apart. Adam (Kingma, Ba
2015) over the rows that a batch touches, its rate falling to nothing.

Seeded: the same pairs, NumPy, SciPy and processor give the same bytes. Another processor rounds sums otherwise. Needs
SciPy besides what the product needs.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pairs import NAME, SENTENCE, Pairs, read
from scipy.sparse import csr_array

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train."""

    epochs: float = 4.0
    batch: int = 1024
    group: int = 8
    temperature: float = 0.05
    rate: float = 3e-3
    power: float = 0.5  # a word that occurs n times in a code counts n ** power, as in the product
    rest_share: float = 0.5  # codes that keep the rest of their documentation
    pull: float = 0.0  # towards the rows at the beginning, a step
    names: float = 1.0  # share of the pairs of names that are used
    seed: int = 42


class Adam:
    """Adam over some rows of a table."""

    def __init__(self, table: Floats) -> None:
        self.table = table
        self.mean, self.square = np.zeros_like(table), np.zeros_like(table)
        self.steps = 0

    def step(self, rows: NDArray[np.int64], gradient: Floats, rate: float) -> None:
        """Move the rows against their gradient."""
        self.steps += 1
        mean = self.mean[rows] * np.float32(0.9) + np.float32(0.1) * gradient
        square = self.square[rows] * np.float32(0.999) + np.float32(0.001) * gradient * gradient
        self.mean[rows], self.square[rows] = mean, square
        size = rate * (1 - 0.999**self.steps) ** 0.5 / (1 - 0.9**self.steps)
        self.table[rows] -= np.float32(size) * mean / (np.sqrt(square) + np.float32(1e-8))


def unit(sums: Floats) -> tuple[Floats, Floats]:
    """Rows at unit length, and how long they were, (n, 1)."""
    lengths = np.sqrt((sums * sums).sum(axis=1, keepdims=True)) + np.float32(1e-6)
    return sums / lengths, lengths


def loss_of(query: Floats, code: Floats, same: NDArray[np.bool_], temperature: float) -> tuple[float, Floats, Floats]:
    """InfoNCE both ways, and its gradients by query and code, all of unit length. `same`: no wrong answer."""
    scores = (query @ code.T) / np.float32(temperature)
    scores[same] = -1e9
    by_query, by_code = softmax(scores, 1), softmax(scores, 0)
    right = np.arange(len(query))
    loss = -float(np.log(by_query[right, right] * by_code[right, right] + 1e-20).mean()) / 2
    gradient = by_query + by_code
    gradient[right, right] -= 2
    gradient *= np.float32(0.5 / (temperature * len(query)))
    return loss, gradient @ code, gradient.T @ query


def softmax(scores: Floats, axis: int) -> Floats:
    """Shares that add up to one along an axis."""
    shares = np.exp(scores - scores.max(axis=axis, keepdims=True))
    shares /= shares.sum(axis=axis, keepdims=True)
    return shares


def through_unit(gradient: Floats, vectors: Floats, lengths: Floats) -> Floats:
    """The gradient by a sum, from that by the sum at unit length."""
    along = (gradient * vectors).sum(axis=1, keepdims=True)
    return (gradient - along * vectors) / lengths


def one_step(adam: Adam, query: csr_array, code: csr_array, same: NDArray[np.bool_], rate: float, heat: float) -> float:
    """Learn from a batch; return its loss."""
    rows, where = np.unique(np.concatenate([query.indices, code.indices]), return_inverse=True)
    split = len(query.indices)
    query, code = (
        csr_array((part.data, at.astype(np.int32), part.indptr), shape=(part.shape[0], len(rows)))
        for part, at in ((query, where[:split]), (code, where[split:]))
    )
    table = adam.table[rows]
    (q, q_lengths), (c, c_lengths) = unit(query @ table), unit(code @ table)
    loss, by_q, by_c = loss_of(q, c, same, heat)
    gradient = query.T @ through_unit(by_q, q, q_lengths) + code.T @ through_unit(by_c, c, c_lengths)
    adam.step(rows, gradient, rate)
    return loss


def order_of(pairs: Pairs, group: int, random: np.random.Generator) -> NDArray[np.int64]:
    """All pairs, shuffled, in groups of one package."""
    shuffled = random.permutation(len(pairs))
    by_package = shuffled[np.argsort(pairs.package[shuffled], kind="stable")]
    groups = [by_package[i : i + group] for i in range(0, len(by_package), group)]
    return np.concatenate([groups[i] for i in random.permutation(len(groups))])


def train(rows: Floats, pairs: Pairs, settings: Settings) -> Floats:
    """Return the trained rows."""
    random = np.random.default_rng(settings.seed)
    vocabulary, adam = len(rows), Adam(rows.copy())
    query, code, rest = (texts.matrix(vocabulary) for texts in (pairs.query, pairs.code, pairs.rest))
    steps = int(settings.epochs * len(pairs) / settings.batch)
    began, losses, order = time.monotonic(), [], np.empty(0, np.int64)
    for step in range(steps):
        if len(order) < settings.batch:
            order = order_of(pairs, settings.group, random)
        chosen, order = order[: settings.batch], order[settings.batch :]
        with_rest = (random.random(len(chosen)) < settings.rest_share).astype(np.float32)
        codes = code[chosen] + csr_array(rest[chosen].multiply(with_rest[:, None]))
        codes.eliminate_zeros()
        codes.data = codes.data ** np.float32(settings.power)
        names = pairs.query_digest[chosen]
        same = (names[:, None] == names) & ~np.eye(len(chosen), dtype=bool)
        rate = settings.rate * min(1.0, (step + 1) / 20) * (1 - step / steps)
        losses.append(one_step(adam, query[chosen], codes, same, rate, settings.temperature))
        if settings.pull:
            adam.table += np.float32(settings.pull) * (rows - adam.table)
        if step % 50 == 49:
            loss, seconds = np.mean(losses[-50:]), time.monotonic() - began
            print(f"step {step + 1} of {steps}, loss {loss:.4f}, {seconds:.0f} s", flush=True)
    return adam.table


def mean_reciprocal_rank(rows: Floats, pairs: Pairs, settings: Settings) -> float:
    """How far in front a query's own code is, on average, among all codes of these pairs."""
    code = pairs.code.matrix(len(rows))
    code.data = code.data ** np.float32(settings.power)
    q, c = unit(pairs.query.matrix(len(rows)) @ rows)[0], unit(code @ rows)[0]
    scores = q @ c.T
    own = scores[np.arange(len(q)), np.arange(len(q))]
    return float((1 / (scores >= own[:, None]).sum(axis=1)).mean())


def held_back_figures(rows: Floats, pairs: Pairs, settings: Settings) -> dict[str, float]:
    """MRR among 2,000 sentences and code of packages that were held back, and by language among 500."""
    random = np.random.default_rng(7)
    figures = {}
    for name, kind, most in (("sentence", SENTENCE, 2000), ("name", NAME, 2000)):
        of_kind = random.permutation(np.flatnonzero(pairs.kind == kind))
        figures[name] = mean_reciprocal_rank(rows, pairs.take(of_kind[:most]), settings)
        if kind == SENTENCE:
            for language in np.unique(pairs.language):
                chosen = of_kind[pairs.language[of_kind] == language][:500]
                if len(chosen) >= 200:
                    figures[f"{language} ({len(chosen)})"] = mean_reciprocal_rank(rows, pairs.take(chosen), settings)
    return figures


def used(pairs: Pairs, settings: Settings) -> Pairs:
    """The pairs that the settings want."""
    random = np.random.default_rng(settings.seed)
    return pairs.take(np.flatnonzero((pairs.kind == SENTENCE) | (random.random(len(pairs)) < settings.names)))


def main() -> None:
    """Read, train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("start", type=Path)
    parser.add_argument("output", type=Path)
    for name, value in {name: getattr(Settings(), name) for name in Settings.__slots__}.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = vars(parser.parse_args())
    settings = Settings(**{name: options[name] for name in Settings.__slots__})
    rows = np.load(options["start"])["rows"]
    learn, measure = read(sorted((options["work"] / "pairs").glob("*.npz")))
    print(f"{len(learn):,} pairs to learn from, {len(measure):,} held back; {settings}")
    print("before", json.dumps({k: round(v, 3) for k, v in held_back_figures(rows, measure, settings).items()}))
    trained = train(rows, used(learn, settings), settings)
    print("after ", json.dumps({k: round(v, 3) for k, v in held_back_figures(trained, measure, settings).items()}))
    np.savez(options["output"], rows=trained)


if __name__ == "__main__":
    main()
