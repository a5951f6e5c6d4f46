from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firmware_bridge.boards import BOARDS
from firmware_bridge.front_end import analogue, delay_s, response, through, to_counts

KNOWN = [board for board in BOARDS.values() if board.picovolts_per_count is not None]


def sine(frequency_hz: float, rate: float = 1000.0, seconds: float = 20.0) -> np.ndarray:
    return np.asarray(np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate)) / rate))


@pytest.mark.parametrize("name", ["ad8232", "ads1292r", "cyton", "bitalino"])
@pytest.mark.parametrize("frequency", [0.5, 2.0, 10.0, 35.0])
def test_a_sine_comes_out_as_the_analogue_filters_say(name: str, frequency: float) -> None:
    board = BOARDS[name]
    out, rate = analogue(board, sine(frequency), 1000.0)
    middle = slice(round(6 * rate), round(14 * rate))
    t = np.arange(len(out))[middle] / rate
    expected = np.imag(response(board, np.array([frequency]))[0] * np.exp(2j * np.pi * frequency * t))
    assert np.abs(out[middle] - expected).max() < 0.004


@pytest.mark.parametrize("board", KNOWN, ids=lambda b: b.name)
def test_an_offset_is_removed_by_every_board_that_is_not_coupled_to_dc(board) -> None:
    out, rate = analogue(board, np.full(2500, 0.7), 250.0)
    assert len(out) == int(10 * rate)
    assert np.allclose(out, 0.0 if board.high_pass_hz else 0.7, atol=1e-6)


def test_nothing_comes_out_before_it_went_in() -> None:
    x = np.zeros(5000)
    x[2500] = 1.0
    out, rate = analogue(BOARDS["bitalino"], x, 500.0)
    before = out[: round(5.0 * rate) - 5]
    assert np.abs(before).max() < 0.02 * np.abs(out).max()
    late = np.argmax(out) / rate - 5.0
    assert 0.002 < late < 0.01
    assert delay_s(BOARDS["bitalino"]) == pytest.approx(0.00596 + 0.00079, abs=1e-4)  # two poles at 40 Hz, one at 0.5


@pytest.mark.parametrize("board", KNOWN, ids=lambda b: b.name)
def test_what_comes_out_is_what_counts_can_say(board) -> None:
    mv, rate = through(board, 0.8 * sine(7.0, 360.0), 360.0)
    assert rate == board.sampling_rate_hz
    counts = mv * 1e9 / board.picovolts_per_count + board.zero_count
    assert np.allclose(counts, np.round(counts), atol=1e-6)
    assert np.array_equal(to_counts(board, mv), np.round(counts))
    analogue_mv, _ = analogue(board, 0.8 * sine(7.0, 360.0), 360.0)
    assert np.abs(mv - analogue_mv).max() <= 0.5001e-9 * board.picovolts_per_count


@pytest.mark.parametrize("board", KNOWN, ids=lambda b: b.name)
def test_what_is_too_much_for_the_converter_is_cut_off(board) -> None:
    low, high = board.count_range
    assert to_counts(board, np.array([-1e5, 0.0, 1e5])).tolist() == [low, board.zero_count, high]


def test_the_native_board_has_no_front_end_of_its_own() -> None:
    x = sine(3.0, 250.0)
    out, rate = through(BOARDS["native"], x, 250.0)
    assert rate == 250.0
    assert out is x


def test_without_filters_a_signal_of_the_boards_own_rate_is_itself() -> None:
    board = replace(BOARDS["cyton"], low_pass_hz=None)
    x = np.random.default_rng(1).normal(size=1000)
    out, _ = analogue(board, x, 250.0)
    assert np.allclose(out, x, atol=1e-9)


@pytest.mark.parametrize("x", [np.empty(0), np.array([1.0, np.nan])])
def test_what_is_no_signal_is_refused(x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite"):
        through(BOARDS["cyton"], x, 250.0)


@pytest.mark.parametrize("n", [1, 2, 3, 37])
def test_a_few_samples_are_enough(n: int) -> None:
    out, _ = through(BOARDS["bitalino"], np.ones(n), 250.0)
    assert len(out) == 4 * n
