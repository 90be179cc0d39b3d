"""The same promises for the families that carry over: HunyuanVideo and CogVideoX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cameo.condition.plug import plug
from cameo.generators.base import Direction
from tests.condition.conftest import Family, tuned
from tests.condition.test_plug_pipelines import left_alone, off, same, without_tokens
from tests.generators.tiny_pipelines import FAMILIES


@pytest.fixture(scope="module", params=["hunyuanvideo", "cogvideox"])
def other(request: pytest.FixtureRequest) -> Family:
    return tuned(request.param)


def test_it_shows_while_plugged_in_and_leaves_no_trace(other: Family) -> None:
    assert other.adapter.best_step == 3
    with left_alone(other):
        base = other.clip()
        with plug(other.generator, other.adapter.parts):
            assert not np.array_equal(base.frames, other.clip().frames)
        with plug(other.generator, other.adapter.parts, off(other)):
            assert same(base, other.clip())
        with pytest.raises(ZeroDivisionError), plug(other.generator, other.adapter.parts):
            _ = 1 / 0


def test_tokens_alone_show(other: Family) -> None:
    base = other.clip()
    identity = other.generator.fit_identity(other.footage)
    with other.generator.wearing(identity, ("face",)):
        assert not same(base, other.clip())
    assert same(base, other.clip())


def test_the_sealed_bytes_load_with_the_stock_loader(other: Family, tmp_path: Path) -> None:
    generator, fresh = other.generator, FAMILIES[other.name]()
    (tmp_path / "face.safetensors").write_bytes(other.adapter.parts[f"adapter.{generator.id}.face"])
    fresh.pipe.load_lora_weights(tmp_path, weight_name="face.safetensors", adapter_name="face", use_safetensors=True)
    stock = Family(other.name, fresh, other.footage, other.adapter).clip()
    with plug(generator, other.adapter.parts), without_tokens(generator):
        ours = other.clip()
    assert same(stock, ours)


def test_in_bfloat16_it_takes_the_same_double(other: Family) -> None:
    generator = FAMILIES[other.name]()
    generator.denoiser.to(torch.bfloat16)
    assert generator.base_digest == other.adapter.base_digest
    with plug(generator, other.adapter.parts):
        pass


def test_a_clip_has_the_length_that_was_asked_for(other: Family) -> None:
    stride = other.generator.shape.stride
    for length in (1 + stride, 1 + 2 * stride):
        direction = other.generator.settle(Direction(length, 0, "a person"))
        assert len(other.generator.run(direction, lambda _done: None).frames) == length


def test_there_is_no_voice(other: Family) -> None:
    with pytest.raises(ValueError, match="no voice"):
        other.generator.lora_targets("voice")
