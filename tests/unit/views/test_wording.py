"""How counts, times and phases are written."""

import math

import pytest

from flyte_nb.core.phases import ActionPhase
from flyte_nb.views import wording


@pytest.mark.parametrize(
    "seconds, text",
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0084, "8.4 ms"),
        (0.412, "412 ms"),
        (0.9996, "1.00 s"),
        (1.84, "1.84 s"),
        (9.999, "10.0 s"),
        (58.4, "58.4 s"),
        (59.97, "1m 00s"),
        (252, "4m 12s"),
        (7500, "2h 05m"),
        (3 * 86400 + 4 * 3600, "3d 04h"),
        (-1, "0.0 ms"),
    ],
)
def test_durations_have_three_digits_at_most(seconds: float | None, text: str) -> None:
    """A span is written with the unit that suits it."""
    assert wording.duration(seconds) == text


@pytest.mark.parametrize("value, text", [(None, ""), (0.0, ""), (4812.3, "4,812/s"), (21.4, "21.4/s"), (0.0517, "3.1/min")])
def test_rates_choose_their_unit(value: float | None, text: str) -> None:
    """Slow rates are per minute; an unknown one is not written."""
    assert wording.rate(value) == text


def test_one_hundred_percent_is_said_only_at_the_end() -> None:
    """99.99 % is not 100 %."""
    assert wording.percent(9_999, 10_000) == 99
    assert wording.percent(10_000, 10_000) == 100
    assert wording.percent(0, 0) == 0


@pytest.mark.parametrize(
    "eta, text",
    [
        (None, "time left unknown"),
        ((10.0, 20.0), "under 1 min left"),
        ((100.0, 2000.0), "time left unknown"),
        ((200.0, 230.0), "3–4 min left"),
        ((190.0, 170.0), "2–4 min left"),
        ((30.0, 80.0), "under 2 min left"),
        ((4300.0, 5900.0), "1h 10m–1h 40m left"),
    ],
)
def test_time_left_is_a_range_rounded_outward(eta: tuple[float, float] | None, text: str) -> None:
    """A wide range is no statement, and a range never promises too much."""
    assert wording.time_left(eta, may_grow=False) == text


def test_time_left_is_a_lower_bound_while_more_may_come() -> None:
    """A driver may call more actions."""
    assert wording.time_left((200.0, 230.0), may_grow=True) == "at least 3–4 min left"


def test_every_phase_has_a_glyph_and_a_place() -> None:
    """A new phase must be given both, and glyphs differ, since colour is not enough."""
    assert set(wording.GLYPHS) == set(wording.PHASE_ORDER) == set(ActionPhase)
    assert len(set(wording.GLYPHS.values())) == len(ActionPhase)


def test_clean_text_can_be_sent_and_read() -> None:
    """Control characters, surrogates and direction marks are replaced; letters of every script stay."""
    assert wording.clean("a\x1b[2Jb\ud800c\u202ed") == "a�[2Jb�c�d"
    assert wording.clean("naïve\t日本 😀\n") == "naïve\t日本 😀\n"


def test_one_line_is_one_line() -> None:
    """Breaks become spaces, and a cut shows."""
    assert wording.one_line("a\r\n  b\tc", 10) == "a b c"
    assert wording.one_line("abcdefgh", 4) == "abc…"


def test_a_running_clock_has_whole_seconds() -> None:
    """It changes once a second at most."""
    assert [wording.clock(seconds) for seconds in (0.4, 59.9, 60.0)] == ["0 s", "59 s", "1m 00s"]


def test_a_worker_that_is_called_by_a_number_is_told_as_a_worker() -> None:
    """Dask calls its workers 0, 1 and so on; other names stand for themselves."""
    assert [wording.worker_words(name) for name in ("0", "17", "gpu-3", "", "tcp://10.0.0.1:4")] == [
        *("worker 0", "worker 17", "gpu-3", "", "tcp://10.0.0.1:4")
    ]


def test_a_success_with_failures_names_them() -> None:
    """Those of a run that did not succeed are in its phase."""
    assert wording.outcome(ActionPhase.SUCCEEDED, 2_000) == "✓ succeeded, 2,000 failed"
    assert wording.outcome(ActionPhase.SUCCEEDED, 0) == "✓ succeeded"
    assert wording.outcome(ActionPhase.FAILED, 1) == "✕ failed"
