"""The bounded row of samples and the line through them."""

import pytest

from ctx42d.memory.history import History, slope

MB = 2**20


def hours_of(history, mb_at, *, hours=1.0, every=5.0):
    for step in range(int(hours * 3600 / every)):
        history.add(step * every, int(mb_at(step * every / 3600, step) * MB))
    return history.trend()


def test_a_steady_rise_is_its_slope():
    trend = hours_of(History(720, 5.0), lambda hour, _: 100 + 7 * hour)
    assert trend.mb_per_hour == pytest.approx(7, rel=0.01)
    assert trend.floor_mb_per_hour == pytest.approx(7, rel=0.01)
    assert (trend.samples, trend.span_seconds) == (720, 3595.0)


def test_busy_batches_do_not_raise_the_floor():
    trend = hours_of(History(720, 5.0), lambda hour, step: 100 + (200 * hour if step % 7 else 0))
    assert trend.mb_per_hour > 100
    assert abs(trend.floor_mb_per_hour) < 0.01


def test_a_leak_below_busy_batches_is_seen():
    trend = hours_of(History(720, 5.0), lambda hour, step: 100 + 12 * hour + (150 if step % 5 else 0))
    assert trend.floor_mb_per_hour == pytest.approx(12, rel=0.1)


def test_looks_within_an_interval_are_one_sample_with_its_extremes():
    history = History(10, 5.0)
    for at, mb in ((0.0, 100), (1.0, 300), (4.9, 80), (5.0, 90)):
        history.add(at, mb * MB, own_bytes=mb * MB // 2)
    first, second = history.samples()
    assert (first.used_bytes, first.peak_bytes, first.low_bytes) == (80 * MB, 300 * MB, 80 * MB)
    assert (second.at_seconds, second.used_bytes) == (5.0, 90 * MB)
    assert history.own_low_bytes() == 40 * MB


def test_old_samples_leave_but_the_peak_stays():
    history = History(3, 1.0)
    for at, mb in enumerate((500, 100, 110, 120)):
        history.add(float(at), mb * MB)
    assert [sample.used_bytes // MB for sample in history.samples()] == [100, 110, 120]
    assert history.peak_bytes == 500 * MB


def test_the_share_above_a_mark_counts_peaks():
    history = History(10, 1.0)
    for at, mb in enumerate((100, 200, 300, 400)):
        history.add(float(at), mb * MB)
    assert history.share_above(300 * MB) == 0.5


def test_without_samples_there_is_no_trend():
    history = History(10, 1.0)
    assert (history.trend().samples, history.trend().mb_per_hour) == (0, 0.0)
    assert (history.own_low_bytes(), history.share_above(1)) == (0, 0.0)


def test_one_sample_has_no_slope():
    history = History(10, 1.0)
    history.add(5.0, MB)
    assert history.trend().floor_mb_per_hour == 0.0
    assert slope([(1.0, 2.0), (1.0, 3.0)]) == 0.0
