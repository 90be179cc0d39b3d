"""A generator that memorises is found out by its pictures and by its loss; one that shows new frames is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor

from cameo.adapt.judge import Judges
from cameo.adapt.recipe import Recipe
from cameo.adapt.train import tune
from cameo.condition.plug import loaded
from cameo.eliciting import Exhibit, Probed, ProbeSettings, _losses, probe_adapter
from cameo.errors import CameoError, UsageError
from cameo.fidelity.leakage import infer_membership, summarise
from cameo.generators.base import Footage, Takes
from cameo.generators.digest import weights_digest
from cameo.generators.reference import ReferenceGenerator
from cameo.generators.reference_net import FRAMES
from cameo.records import Adapter
from tests.adapt.conftest import by_pixels
from tests.conftest import chance_weights
from tests.generators.tiny_pipelines import tiny_footage, tiny_wan_generator

FEW = ProbeSettings(seeds=2, pictures=24, windows=8, draws=2)
LEARNED, HELD = 56, 60  # of 100 frames
NOBODY = np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 10, 2), np.float32)


class ByPixels:
    """Stand in for a face encoder."""

    info: Any = None

    def embed(self, frames: np.ndarray, points: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        return by_pixels(frames, points)


def in_small(frames: np.ndarray, points: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """See frames of any size."""
    return by_pixels(np.stack([cv2.resize(frame, (64, 64)) for frame in frames]), points)


class InSmall(ByPixels):
    """The same."""

    def embed(self, frames: np.ndarray, points: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        return in_small(frames, points)


class Remembered:
    """Lessons whose loss is how far a window is from what is remembered, while a LoRA is active; chance otherwise."""

    def __init__(self, footage: Footage, memory: Footage, denoiser: Any) -> None:
        starts = footage.windows(FRAMES, 2)
        self.spans = torch.stack([starts, starts + FRAMES], 1)
        self._footage, self._memory, self._denoiser = footage, memory.frames.float() / 255, denoiser

    def __len__(self) -> int:
        return len(self.spans)

    def loss(self, windows: Tensor) -> Tensor:
        chance = 0.01 * torch.rand(())
        layers = [m for m in self._denoiser.modules() if isinstance(m, BaseTunerLayer)]
        if not layers or layers[0].disable_adapters:
            return 1 + chance
        (start, stop) = self.spans[int(windows[0])].tolist()
        frames = self._footage.frames[start:stop].float() / 255
        far = [(self._memory - frame).square().flatten(1).mean(1).min() for frame in frames]
        return torch.stack(far).mean().sqrt() + chance


class Parrot(ReferenceGenerator):
    """Hand out the frames of some footage, whatever is asked for; `led` is whether that is said to be of moments."""

    def __init__(self, memory: Footage, led: bool = True) -> None:
        super().__init__(chance_weights())
        self._memory, self._led = memory, led

    def rehearse(self, identity: Any, held: Footage, frames: Tensor, seed: int, aided: bool = True) -> Takes:
        chosen = torch.randperm(len(self._memory), generator=torch.Generator().manual_seed(seed))[: len(frames)]
        points = self._memory.points_px(chosen) if self._led else None
        return Takes(np.asarray(self._memory.frames[chosen]), points)

    def lessons(self, footage: Footage, identity: Any, drop_aids: float, face_weight: float = 1.0) -> Any:
        return Remembered(footage, self._memory, self.denoiser)


@pytest.fixture(scope="module")
def exhibit(footage: Footage) -> Exhibit:
    return Exhibit(footage, LEARNED, HELD)


@pytest.fixture(scope="module")
def adapter(generator: ReferenceGenerator, footage: Footage) -> Adapter:
    """What has a closed form, and two steps: the machinery is real, the memory is the stand-in's."""
    recipe = Recipe(rank=2, steps=3, batch=2, warm_up=1, judged=False)
    return tune(generator, footage.part(0, LEARNED + 20), Judges(by_pixels, NOBODY), recipe)


@pytest.fixture(scope="module")
def parrot(adapter: Adapter, exhibit: Exhibit) -> Probed:
    return probe_adapter(Parrot(exhibit.train), adapter.parts, exhibit, ByPixels(), FEW)


@pytest.fixture(scope="module")
def stranger(adapter: Adapter, exhibit: Exhibit) -> Probed:
    """New frames of the person, which were held out, and a loss that knows no frame more than another."""

    class Fair(Parrot):
        def lessons(self, footage: Footage, identity: Any, drop_aids: float, face_weight: float = 1.0) -> Any:
            return Remembered(footage, footage, self.denoiser)

    return probe_adapter(Fair(exhibit.held_out), adapter.parts, exhibit, ByPixels(), FEW)


def test_one_that_memorises_is_found_out(parrot: Probed) -> None:
    for way in parrot.leakage.ways:
        assert (way.copying, way.retelling) == ("most", "most")
        for near in (*way.nearness, *way.retold):
            assert near.made.max() < 2e-3, near.measure
            assert near.nearer.value == 1
        assert way.membership.auc.value == 1
        assert way.membership.told
        assert way.membership.blind == pytest.approx(0.5), "the same noise for every window"


def test_one_that_shows_new_frames_is_not(stranger: Probed) -> None:
    for way in stranger.leakage.ways:
        assert (way.copying, way.retelling) == ("none", "none")
        for near in way.nearness:
            assert near.nearer.value < 0.15
            assert near.singled.value == pytest.approx(0.5, abs=0.15)
        assert not way.membership.told
        assert way.membership.auc.value == pytest.approx(0.5, abs=0.2)


def test_windows_do_not_overlap(parrot: Probed) -> None:
    attack = parrot.leakage.alone.membership
    assert len(attack.members) == LEARNED // FRAMES
    assert len(attack.others) == (100 - HELD) // FRAMES


def test_likeness_lies_beside(parrot: Probed, stranger: Probed) -> None:
    assert parrot.leakage.floor < parrot.leakage.alone.likeness.value
    assert stranger.leakage.alone.likeness.value == pytest.approx(stranger.leakage.ceiling, abs=0.2)
    assert (parrot.leakage.learned, parrot.leakage.held_out) == (LEARNED, 100 - HELD)


def test_a_generator_that_cannot_be_led(adapter: Adapter, exhibit: Exhibit) -> None:
    """What it makes is of no moment: it is looked at for faces, and not made twice."""
    calls = []

    class Unled(Parrot):
        def rehearse(self, *given: Any) -> Takes:
            calls.append(given)
            return super().rehearse(*given)

    probed = probe_adapter(Unled(exhibit.train, led=False), adapter.parts, exhibit, ByPixels(), replace(FEW, seeds=1))
    assert len(calls) == 2
    assert probed.leakage.alone.retold == ()
    assert summarise(probed.leakage)["without_references"]["retold"] is None  # type: ignore[index]


def test_a_real_adapter(generator: ReferenceGenerator, adapter: Adapter, exhibit: Exhibit) -> None:
    """Nothing stands in for anything but the encoder; the generator is left as it was."""
    digest, names = weights_digest(generator.denoiser), set(generator.denoiser.state_dict())
    told: list[tuple[str, float]] = []
    settings = ProbeSettings(seeds=1, pictures=8, windows=2, draws=1)
    found = probe_adapter(
        generator, adapter.parts, exhibit, ByPixels(), settings, lambda *said: told.append(said)
    ).leakage
    assert weights_digest(generator.denoiser) == digest
    assert set(generator.denoiser.state_dict()) == names
    for way in found.ways:
        assert 0 <= way.membership.auc.value <= 1
        assert np.isfinite(way.membership.members).all() and way.membership.members.std() > 0
        assert all(0 < near.usual < 2 for near in (*way.nearness, *way.retold))
    assert {label.partition(": ")[0] for label, _ in told} == {
        "measuring real frames", "the adapter alone", "with references",
    }  # fmt: skip
    assert all(0 <= share <= 1 for _, share in told)


def test_a_pipeline() -> None:
    """Of a family of diffusers, whose takes are of no moment, and show no face before it was trained on any."""
    wan = tiny_wan_generator()
    footage = tiny_footage(16, 90, heard=False)
    recipe = Recipe(rank=2, steps=2, batch=1, warm_up=1, judged=False)
    adapter = tune(wan, footage, Judges(in_small, NOBODY), recipe)
    settings = ProbeSettings(seeds=1, pictures=4, windows=3, draws=1)
    found = probe_adapter(wan, adapter.parts, Exhibit(footage, 60, 68), InSmall(), settings).leakage
    assert found.alone.copying == found.aided.copying == "unknown"
    assert (found.alone.found, found.alone.likeness.value, found.alone.retold) == (0, 0, ())
    for way in found.ways:
        assert np.isfinite(way.membership.members).all() and way.membership.members.any()
        assert 0 <= way.membership.auc.value <= 1
    json.dumps(summarise(found), allow_nan=False)


def test_a_lora_that_does_nothing_tells_nothing(
    generator: ReferenceGenerator, footage: Footage, exhibit: Exhibit
) -> None:
    """However much the end of the footage differs from its beginning: nothing was descended, nothing is scored."""
    recipe = Recipe(rank=2, steps=1, batch=2, judged=False)  # the first step is the closed form
    adapter = tune(generator, footage.part(0, LEARNED + 20), Judges(by_pixels, NOBODY), recipe)
    with loaded(generator, [adapter.parts]) as [person]:
        losses = _losses(generator, person, exhibit, False, replace(FEW, seeds=1, draws=1), lambda _share: None)
    found = infer_membership(*losses)
    assert (found.auc.value, found.auc.low, found.auc.high, found.told) == (0.5, 0.5, 0.5, False)
    assert found.silent
    assert losses[0].untuned.std() > 0


def test_the_attack_is_repeatable(adapter: Adapter, exhibit: Exhibit, parrot: Probed) -> None:
    torch.manual_seed(5)
    again = probe_adapter(Parrot(exhibit.train), adapter.parts, exhibit, ByPixels(), FEW)
    assert np.array_equal(again.leakage.alone.membership.members, parrot.leakage.alone.membership.members)


@contextmanager
def refused(error: type[CameoError], message: str) -> Iterator[None]:
    with pytest.raises(error, match=message) as caught:
        yield
    assert caught.value.hint


def test_bad_input(generator: ReferenceGenerator, adapter: Adapter, exhibit: Exhibit, footage: Footage) -> None:
    def probe(parts: Any = adapter.parts, shown: Exhibit = exhibit, settings: ProbeSettings = FEW) -> None:
        probe_adapter(generator, parts, shown, ByPixels(), settings)

    with refused(UsageError, "seeds"):
        probe(settings=ProbeSettings(seeds=0))
    with refused(UsageError, "counted from 1"):
        probe(settings=ProbeSettings(draws=0))
    with refused(UsageError, "holds no adapter.reference.face"):
        probe({})
    blind = replace(footage, usable=torch.arange(100) % 7 > 0)  # never eight in a row
    with refused(CameoError, "no window"):
        probe_adapter(Parrot(footage), adapter.parts, Exhibit(blind, LEARNED, HELD), ByPixels(), FEW)
    dark = replace(footage, usable=torch.arange(100) < LEARNED)
    with refused(CameoError, "no face is found"):
        probe(shown=Exhibit(dark, LEARNED, HELD))
