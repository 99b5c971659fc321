"""Media time to wall time: neither jitter nor a stall is in it."""

from __future__ import annotations

from random import Random

from pipelines.speech.clock import SHORTEST_PATH, MediaClock


def test_jitter_and_a_stalled_loop_do_not_move_wall_time() -> None:
    random = Random(1)
    clock = MediaClock()
    for index in range(200):
        media = index * 0.05
        late = random.uniform(0.0, 0.08) + (2.0 if 100 < index < 120 else 0.0)
        clock.observe(media, 1000.0 + media + late)
    assert 1005.0 <= clock.wall(5.0) + SHORTEST_PATH < 1005.02


def test_the_offset_follows_a_drift_of_clocks_within_its_window() -> None:
    clock = MediaClock()
    for index in range(1200):
        media = index * 0.05
        clock.observe(media, 1000.0 + media * 1.001)
    assert abs(clock.wall(60.0) + SHORTEST_PATH - 1060.06) < 0.02
