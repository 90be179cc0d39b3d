"""The arithmetic of the protocols, whatever the numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameo.errors import UsageError
from cameo.fidelity.protocols import PROTOCOLS, facesim, frame_numbers, known_protocol, strict_facesim

COSINES = st.lists(st.one_of(st.floats(-1, 1), st.just(math.nan)), max_size=40)


@given(COSINES)
def test_mean_of_what_is_seen_and_positive(cosines: list[float]) -> None:
    seen = [max(0.0, c) for c in cosines if not math.isnan(c)]
    assert facesim(cosines) == pytest.approx(sum(seen) / len(seen) if seen else 0.0)


@given(COSINES)
def test_left_out_zeros_never_lower_a_score(cosines: list[float]) -> None:
    above = [c for c in cosines if c > 0]
    assert facesim(cosines, drops_zeros=True) == pytest.approx(sum(above) / len(above) if above else 0.0)
    assert facesim(cosines, drops_zeros=True) >= facesim(cosines) - 1e-12


@given(COSINES)
def test_showing_no_face_gains_nothing_by_the_strict_score(cosines: list[float]) -> None:
    assert 0 <= strict_facesim(cosines) <= facesim(cosines) + 1e-12
    assert strict_facesim([*cosines, math.nan]) <= strict_facesim(cosines) + 1e-12


@given(st.integers(1, 10_000), st.integers(1, 64))
def test_frames_are_spread_as_published(total: int, count: int) -> None:
    numbers = frame_numbers(total, count)
    assert numbers == np.linspace(0, total - 1, count, dtype=int).tolist()
    assert numbers[0] == 0 and len(numbers) == count


@given(st.integers(1, 5000), st.integers(1, 64), st.floats(0, 1), st.floats(0, 1))
def test_parts_of_a_clip_stay_inside(total: int, count: int, start: float, end: float) -> None:
    numbers = frame_numbers(total, count, min(start, end), max(start, end))
    assert len(numbers) == count and numbers == sorted(numbers)
    assert numbers[0] >= 0 and numbers[-1] < total


@given(st.integers(40, 5000))
def test_reference_and_real_part_share_no_frame(total: int) -> None:
    assert frame_numbers(total, 16, 0.0, 0.6)[-1] < frame_numbers(total, 16, 0.75, 1.0)[0]


def test_names_and_sources() -> None:
    assert {name: protocol.frames for name, protocol in PROTOCOLS.items()} == {"opens2v": 32, "consisid": 16}
    assert PROTOCOLS["opens2v"].drops_zeros == ("curricularface",) and not PROTOCOLS["consisid"].drops_zeros
    with pytest.raises(UsageError, match="no protocol 'vbench'"):
        known_protocol("vbench")
