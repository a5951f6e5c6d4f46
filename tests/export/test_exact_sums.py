"""The sum of two u8 tensors, held against every arithmetic that a processor may do it in: all 65,536 pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_runtime.bundle import ONNX, Bundle
from edge_runtime.errors import LeadwireError
from export.exact_sums import Scaled, Sum, exact, sums_of, ties

A, B = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
Stated = NDArray[np.int64]


def _u8(value: NDArray[np.floating] | NDArray[np.integer]) -> Stated:
    return np.clip(value, 0, 255).astype(np.int64)


def _ratios(x: Sum) -> tuple[np.float32, np.float32]:
    y = np.float32(x.y.scale)
    return np.float32(x.a.scale) / y, np.float32(x.b.scale) / y


def in_floats(x: Sum) -> Stated:
    """Two products, each rounded, onto a constant part; ties to even: x86-64's SSE."""
    ra, rb = _ratios(x)
    fixed = np.float32(x.y.zero) - (ra * np.float32(x.a.zero) + rb * np.float32(x.b.zero))
    return _u8(np.rint(fixed + A.astype(np.float32) * ra + B.astype(np.float32) * rb))


def in_fused_floats(x: Sum) -> Stated:
    """The same with each product unrounded under its addition: AVX2's."""
    ra, rb = _ratios(x)
    fixed = np.float32(np.float32(x.y.zero) - (ra * np.float32(x.a.zero) + rb * np.float32(x.b.zero)))
    first = (A * np.float64(ra) + np.float64(fixed)).astype(np.float32)
    return _u8(np.rint((B * np.float64(rb) + first).astype(np.float32)))


def in_fixed_point(x: Sum) -> Stated:
    """Multipliers of 22 bits and one shift, ties away from zero: NEON's."""
    ra, rb = _ratios(x)
    shift = 21 - (int(np.frexp(max(ra, rb))[1]) - 1)
    ma, mb = (int(np.rint(np.float64(r) * 2**shift)) for r in (ra, rb))
    total = (A - x.a.zero) * ma + (B - x.b.zero) * mb
    size = (np.abs(total) + (1 << (shift - 1))) >> shift
    return _u8(np.sign(total) * size + x.y.zero)


ARITHMETICS: tuple[Callable[[Sum], Stated], ...] = (in_floats, in_fused_floats, in_fixed_point)


def _of(scales: tuple[float, float, float], zeros: tuple[int, int, int]) -> Sum:
    return Sum(*(Scaled(name, scale, zero) for name, scale, zero in zip("aby", scales, zeros, strict=True)))


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.floats(0.2, 3.0), st.floats(0.2, 3.0), st.floats(1e-3, 1.0)),
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)),
    st.sampled_from([None, "a", "b"]),
)
def test_an_exact_sum_is_the_same_in_every_arithmetic(
    scales: tuple[float, float, float], zeros: tuple[int, int, int], fixed: str | None
) -> None:
    ra, rb, y = scales
    given_sum = _of((float(np.float32(ra * y)), float(np.float32(rb * y)), float(np.float32(y))), zeros)
    try:
        found = exact(given_sum, fixed)
    except LeadwireError:
        return  # it refuses rather than to give scales that are not
    assert found == pytest.approx((given_sum.a.scale, given_sum.b.scale, given_sum.y.scale), rel=0.2)
    if fixed:
        assert found["aby".index(fixed)] == getattr(given_sum, fixed).scale
    exactly = _of((float(found[0]), float(found[1]), float(found[2])), zeros)
    first, *others = (arithmetic(exactly) for arithmetic in ARITHMETICS)
    for other in others:
        assert np.array_equal(first, other)


def test_scales_as_they_were_calibrated_are_not_the_same_in_every_arithmetic() -> None:
    calibrated = _of((0.028876887634396553, 0.043877046555280685, 0.03888378664851189), (0, 129, 0))
    assert not np.array_equal(in_floats(calibrated), in_fixed_point(calibrated))
    found = exact(calibrated, None)
    assert found == pytest.approx((calibrated.a.scale, calibrated.b.scale, calibrated.y.scale), rel=1e-3)


def test_ties_are_counted_where_they_can_be_seen() -> None:
    assert ties(1, 1, 1, (0, 0, 0)) == 65536 // 2, "a + b in half steps is odd for every second pair"
    assert ties(2, 2, 1, (0, 0, 0)) == 0


def test_the_default_bundles_sums_are_exact(bundle: Bundle) -> None:
    import onnx

    found = list(sums_of(onnx.load_from_string(bundle.files[ONNX])))
    assert found
    for added in found:
        first, *others = (arithmetic(added) for arithmetic in ARITHMETICS)
        assert all(np.array_equal(first, other) for other in others), added.y.name
