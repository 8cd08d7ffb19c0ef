"""The predicted peak of a batch, against simulated batches with noise."""

import json
import random

import pytest

from ctx42d.memory.predictor import Predictor
from ctx42d.memory.predictors import Predictors
from ctx42d.memory.shape_peaks import MAX_SHAPES
from ctx42d.memory.surface import PRIOR, Seen, Surface, fit

MB = 2**20
# Peaks above the floor of 81 MB that were measured with the shipped model at 256 tokens (texts -> MB).
MEASURED = {4: 33, 8: 69, 16: 140, 32: 319, 64: 595, 256: 2272}
LENGTHS = (32, 64, 128, 256)


def batches(seed, count, truth, noise):
    """What a drain asks for: full micro-batches of 2048 tokens mostly, and remainders."""
    chance = random.Random(seed)
    for _ in range(count):
        length = chance.choice(LENGTHS)
        full = 2048 // length
        texts = full if chance.random() < 0.6 else chance.randint(1, full)
        yield texts, length, int(max(0, truth(texts, length) * chance.gauss(1, noise) + chance.gauss(0, MB)))


def quadratic(texts, length):
    share = length / 256
    return (3 + texts * share * (5.0 + 4.2 * share)) * MB


def stepped(texts, length):
    """Pools that grow in steps of 16 MB, and twice the attention: not of the surface's form."""
    return (int(texts * length / 256 * (4 + 9 * length / 256) / 16) * 16 + 20) * MB


@pytest.mark.parametrize("truth", [quadratic, stepped])
@pytest.mark.parametrize("noise", [0.0, 0.03, 0.06])
@pytest.mark.parametrize("seed", range(3))
def test_after_fifty_batches_predictions_hold(truth, noise, seed):
    predictor = Predictor()
    for texts, length, peak in batches(seed, 1000, truth, noise):
        predictor.observe(texts, length, peak)
    accuracy = predictor.accuracy(skip=50)
    assert accuracy.predictions == 950
    assert accuracy.within >= 0.95
    assert accuracy.under <= 0.01


def test_what_was_measured_is_predicted_before_anything_was_seen():
    predictor = Predictor()
    for texts, peak_mb in MEASURED.items():
        assert peak_mb * MB < predictor.predict(texts, 256) < peak_mb * 1.35 * MB


def test_shapes_never_seen_follow_those_that_were():
    predictor = Predictor()
    for texts in (4, 8, 16):
        for _ in range(3):
            predictor.observe(texts, 256, 2 * MEASURED[texts] * MB)
    assert predictor.predict(32, 256) == pytest.approx(2 * MEASURED[32] * MB, rel=0.15)


def test_a_larger_shape_is_never_predicted_below_a_smaller_one_that_was_seen():
    predictor = Predictor()
    predictor.observe(2, 64, 200 * MB)
    assert predictor.predict(3, 64) >= 200 * MB
    assert predictor.predict(2, 128) >= 200 * MB


def test_predictions_err_to_the_high_side():
    predictor, low = Predictor(), 0
    for texts, length, peak in batches(7, 1000, quadratic, 0.05):
        low += predictor.predict(texts, length) < peak
        predictor.observe(texts, length, peak)
    assert low < 350


def test_a_change_of_the_model_is_followed():
    predictor = Predictor()
    for factor in (1, 2):
        for _ in range(60):
            predictor.observe(8, 256, factor * 70 * MB)
    assert predictor.predict(8, 256) == pytest.approx(140 * MB, rel=0.07)


def test_one_outlier_does_not_stay():
    predictor = Predictor()
    for peak in [70] * 20 + [700] + [70] * 60:
        predictor.observe(8, 256, peak * MB)
    assert predictor.predict(8, 256) < 84 * MB


def test_the_largest_batch_is_the_last_that_fits():
    predictor = Predictor()
    texts = predictor.largest_batch(256, 150 * MB)
    assert predictor.predict(texts, 256) <= 150 * MB < predictor.predict(texts + 1, 256)
    assert predictor.largest_batch(256, 150 * MB, most=4) == 4
    assert predictor.largest_batch(64, 150 * MB) > 4 * texts


@pytest.mark.parametrize("budget", [-5 * MB, 0, 1 * MB])
def test_nothing_fits_into_nothing(budget):
    assert Predictor().largest_batch(256, budget) == 0


def test_what_was_learned_survives_json():
    predictor = Predictor()
    for texts, length, peak in batches(1, 200, quadratic, 0.03):
        predictor.observe(texts, length, peak)
    restored = Predictor.from_state(json.loads(json.dumps(predictor.state())))
    assert all(
        restored.predict(texts, length) == pytest.approx(predictor.predict(texts, length), rel=0.001)
        for texts in (1, 3, 8, 17, 40)
        for length in LENGTHS
    )


@pytest.mark.parametrize(
    "state",
    [
        {"version": 0, "shapes": []},
        {},
        [],
        None,
        {"version": 1},
        {"version": 1, "shapes": [[1, 2]]},
        {"version": 1, "shapes": [[0, 256, 1, 5, 5]]},
        {"version": 1, "shapes": [[1, 256, 1, float("inf"), 5]]},
        {"version": 1, "shapes": [[1, 256, "1", 5, 5]]},
    ],
)
def test_a_damaged_state_is_refused(state):
    with pytest.raises(ValueError, match="learn anew"):
        Predictor.from_state(state)


def test_the_state_is_bounded_and_forgets_the_least_recently_seen():
    predictor = Predictor()
    for texts in range(1, MAX_SHAPES + 51):
        predictor.observe(texts, 64, texts * MB)
    counts = [shape[0] for shape in predictor.state()["shapes"]]
    assert counts == list(range(51, MAX_SHAPES + 51))


@pytest.mark.parametrize("shape", [(0, 256), (4, 0), (-1, 5)])
def test_a_shape_that_cannot_be_is_refused(shape):
    with pytest.raises(ValueError, match="both are 1 or more"):
        Predictor().predict(*shape)


def test_before_anything_was_seen_the_accuracy_is_perfect():
    assert (Predictor().accuracy().within, Predictor().accuracy().under) == (1.0, 0.0)


def test_accuracy_counts_what_is_off_by_more_than_a_fifth_and_eight_megabytes():
    predictor = Predictor()
    for _ in range(5):
        predictor.observe(8, 256, 100 * MB)
    predictor.observe(8, 256, 200 * MB)  # far more than predicted
    predictor.observe(8, 256, 50 * MB)  # far less
    accuracy = predictor.accuracy(skip=4)
    assert (accuracy.predictions, accuracy.within, accuracy.under) == (3, pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_the_surface_finds_its_coefficients():
    truth = Surface(6.0 * MB, 9.0 * MB, 2.0 * MB)
    seen = [Seen(n, length, truth.at(n, length), 50.0) for n in (1, 2, 5, 9, 16) for length in LENGTHS]
    found = fit(seen)
    assert found.linear == pytest.approx(truth.linear, rel=0.02)
    assert found.square == pytest.approx(truth.square, rel=0.1)


def test_no_coefficient_of_the_surface_is_ever_negative():
    found = fit([Seen(1, 256, 400.0 * MB, 9.0), Seen(64, 256, 10.0 * MB, 9.0)])
    assert min(found.base, found.linear, found.square) >= 0
    assert fit([]).at(8, 256) == pytest.approx(PRIOR.at(8, 256), rel=0.001)


def test_a_role_with_a_model_of_its_own_is_predicted_apart_and_counted_in() -> None:
    predictors = Predictors(Predictor())
    predictors.set("embedder:other", Predictor())
    for _ in range(5):
        predictors.of("embedder").observe(4, 256, 40 * MB)
        predictors.of("embedder:other").observe(4, 256, 400 * MB)
    assert predictors.of("anything") is predictors.shared
    assert abs(predictors.of("embedder").predict(4, 256) - 40 * MB) < MB
    assert abs(predictors.of("embedder:other").predict(4, 256) - 400 * MB) < 10 * MB
    assert predictors.accuracy().predictions == 10


def test_what_a_cold_batch_takes_back_is_learned_apart() -> None:
    predictor = Predictor()
    for _ in range(6):
        predictor.observe(8, 256, 70 * MB)
        predictor.observe(8, 256, 85 * MB, cold=True)
    assert predictor.predict(8, 256) == pytest.approx(70 * MB, rel=0.01)
    assert predictor.predict(8, 256, cold=True) == pytest.approx(85 * MB, rel=0.01)
    restored = Predictor.from_state(json.loads(json.dumps(predictor.state())))
    assert restored.predict(8, 256, cold=True) == predictor.predict(8, 256, cold=True)


def test_a_cold_batch_is_never_predicted_below_a_warm_one() -> None:
    predictor = Predictor()
    for _ in range(6):
        predictor.observe(8, 256, 170 * MB)
    assert predictor.predict(8, 256, cold=True) == predictor.predict(8, 256)


def test_a_state_without_cold_batches_is_one_of_an_earlier_version() -> None:
    state = {"version": 1, "shapes": [[8, 256, 5, 70 * MB, 0]]}
    assert Predictor.from_state(state).predict(8, 256) == 70 * MB
