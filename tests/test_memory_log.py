"""What is kept of memory over the daemon's life, and how it is drawn."""

import re
from pathlib import Path

import pytest

from ctx42d.daemon import memory_log
from ctx42d.daemon.ceiling import make_memory
from ctx42d.daemon.cli_memory import bars, by_minute, chart, memory_lines
from ctx42d.daemon.config import load
from ctx42d.daemon.memory_log import MemoryLog
from ctx42d.indexer.database import Database
from ctx42d.memory.config import MemoryConfig
from ctx42d.memory.manager import MemoryManager
from ctx42d.memory.predictor import Predictor

MB = 2**20


def manager() -> MemoryManager:
    return MemoryManager(MemoryConfig(max_mb=256, history_interval_seconds=0.01))


def rows(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.execute("SELECT count(*) FROM memory_samples").fetchone()[0])


def test_what_was_learned_is_known_after_a_restart(tmp_path: Path) -> None:
    database = Database(tmp_path / "index.db")
    first = manager()
    first.check_memory_pressure()
    for _ in range(5):
        first.predictor.observe(2, 256, 31 * MB)
    MemoryLog(database, first, "model").save()
    second = manager()
    MemoryLog(database, second, "model").load()
    assert second.predicted_peak_bytes(2, 256) == first.predicted_peak_bytes(2, 256)
    database.close()


def test_what_was_learned_of_another_model_is_forgotten(tmp_path: Path) -> None:
    database = Database(tmp_path / "index.db")
    first = manager()
    first.check_memory_pressure()
    first.predictor.observe(2, 256, 90 * MB)
    MemoryLog(database, first, "one model").save()
    second = manager()
    MemoryLog(database, second, "another").load()
    assert second.predictor.state() == Predictor().state()
    database.close()


def test_each_model_goes_on_from_what_was_learned_of_it(tmp_path: Path) -> None:
    database = Database(tmp_path / "index.db")
    roles = {"embedder:one@1": "digest 1", "embedder:two@2": "digest 2"}
    first, second = manager(), manager()
    log = MemoryLog(database, first, "shipped")
    for mb, (role, digest) in enumerate(roles.items(), 30):
        log.learn_apart(role, digest, 70 * MB)
        for _ in range(5):
            first.predictor_of(role).observe(2, 256, mb * MB)
    first.check_memory_pressure()
    log.save()
    again = MemoryLog(database, second, "shipped")
    again.load()
    again.learn_apart("embedder:one@1", "digest 1", 70 * MB)
    again.learn_apart("embedder:renamed@2", "digest 2", 70 * MB)
    again.learn_apart("embedder:new@3", "digest 3", 70 * MB)
    assert second.new_worker_bytes("embedder:new@3") == 70 * MB
    assert abs(second.predicted_peak_bytes(2, 256, "embedder:one@1") - 30 * MB) < MB
    assert abs(second.predicted_peak_bytes(2, 256, "embedder:renamed@2") - 31 * MB) < MB
    assert second.predictor_of("embedder:new@3").state() == second.predictor.state() == Predictor().state()
    database.close()


def test_a_damaged_state_is_passed_over(tmp_path: Path) -> None:
    database = Database(tmp_path / "index.db")
    with database.transaction() as connection:
        connection.execute("INSERT INTO meta VALUES ('predictor', '{\"model\": 1')")
    memory = manager()
    MemoryLog(database, memory, "model").load()
    assert memory.predictor.state() == Predictor().state()
    database.close()


def test_samples_are_bounded_and_their_peaks_are_the_timeline(tmp_path: Path) -> None:
    database = Database(tmp_path / "index.db")
    memory = manager()
    memory.check_memory_pressure()
    log = MemoryLog(database, memory, "model")
    log.save(all_of_it=True)
    with database.transaction() as connection:
        connection.executemany(
            memory_log.INSERT, [(float(second), MB, MB, MB, MB) for second in range(memory_log.KEPT_ROWS + 50)]
        )
    memory.check_memory_pressure()
    memory.predictor.observe(1, 8, MB)
    while len(memory.samples()) < 2:
        memory.check_memory_pressure()
    log.save(all_of_it=True)
    assert rows(database) == memory_log.KEPT_ROWS
    ago_s, peak_mb = log.timeline()[-1]
    assert ago_s < 120
    assert peak_mb > 5
    database.close()


def test_while_nothing_moves_nothing_is_written(tmp_path: Path) -> None:
    database = Database(tmp_path / "index.db")
    memory = manager()
    memory.check_memory_pressure()
    log = MemoryLog(database, memory, "model")
    log.save()
    for _ in range(3):
        memory.check_memory_pressure()
        log.save()
    assert rows(database) == 1
    database.close()


def test_the_hour_is_drawn_as_a_column_a_minute_the_newest_last() -> None:
    columns = by_minute([(3590.0, 1.0), (61.0, 128.0), (0.0, 255.9)])
    assert (len(columns), columns[0], columns[-2], columns[-1]) == (60, 1.0, 128.0, 255.9)
    top, middle, low = bars(columns, 256.0, 3)
    assert [(row[0], row[1], row[-2], row[-1]) for row in (top, middle, low)] == [
        (" ", " ", " ", "█"),
        (" ", " ", "▄", "█"),
        ("▁", " ", "█", "█"),
    ]


def test_the_ceiling_stands_above_the_chart_and_nothing_is_drawn_above_it() -> None:
    drawn = chart([(0.0, 300.0)], 256.0, height=2)
    assert re.fullmatch(r"  256 MB ┌╌+ ceiling", drawn[0])
    assert drawn[2].startswith("  128 MB ┤")
    assert {len(line) for line in drawn[:3]} == {70}


def test_advice_is_shown_and_what_an_older_daemon_does_not_send_is_left_out() -> None:
    memory = {"daemon_mb": 50, "worker_mb": 0, "limit_mb": 256, "gc_runs": 1, "refreshes": 0, "recycles": 0, "kills": 0}
    assert memory_lines({"memory": memory})[-1].strip() == "gc runs 1, refreshes 0, recycles 0, kills 0"
    assert memory_lines({"memory": {**memory, "recommendations": ["raise it"]}})[-1].strip() == "advice: raise it"


def test_what_is_a_note_already_is_not_told_again_as_advice() -> None:
    memory = {"daemon_mb": 50, "worker_mb": 0, "limit_mb": 256, "gc_runs": 1, "refreshes": 0, "recycles": 0, "kills": 0}
    told = memory_lines(
        {"memory": {**memory, "recommendations": ["256 instead of 999", "raise it"]}, "notes": ["256 instead of 999"]}
    )
    assert [line.strip() for line in told if "advice" in line] == ["advice: raise it"]


@pytest.mark.parametrize(("profile", "told"), [("development", 1), ("auto", 0)])
def test_a_daemon_for_development_logs_each_collection(
    profile: str, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    memory = make_memory(load(None, {}), {"MEMORY_PROFILE": profile})
    with caplog.at_level("INFO"):
        memory.collect_garbage("requested")
    assert [bool(re.match(r"memory: garbage collected \(requested\): \d", said)) for said in caplog.messages] == [
        True
    ] * told
