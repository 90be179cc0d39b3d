"""A double in a pipeline that somebody already has: one clip, the one that was asked for, and no trace afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

import cameo
from cameo.errors import NotPermitted, NotVerified, UsageError
from cameo.generators.base import Direction
from cameo.generators.wan import WanGenerator
from cameo.recalling import revoke
from cameo.seal.bundle import Part
from cameo.staging import CastOptions, Stage, _as_asked_for, plug
from tests.docs.markdown import ROOT
from tests.docs.test_examples import load_example
from tests.generators.lora_parts import random_parts
from tests.generators.tiny_pipelines import WAN_SHAPE, tiny_wan, tiny_wan_generator
from tests.lendable import Lendable, People, seal_lendable
from tests.seal.conftest import ENCODER

PROMPT = "a person dancing"
SCENE = CastOptions(purpose="birthday", prompt=PROMPT, frames=5, size=(16, 16), steps=2, seed=3)


@pytest.fixture(scope="module")
def pipe() -> Any:
    return tiny_wan()


@pytest.fixture(scope="module")
def parts() -> list[Part]:
    """Of somebody tuned for that pipeline."""
    generator = tiny_wan_generator()
    made = random_parts(generator)
    return [Part(name, "face", data, generator.id, generator.base_digest) for name, data in sorted(made.items())]


@pytest.fixture
def lent(home: Path, people: People, tmp_path: Path, parts: list[Part], monkeypatch: pytest.MonkeyPatch) -> Lendable:
    monkeypatch.setattr(WanGenerator, "shape", WAN_SHAPE)
    made = seal_lendable(tmp_path, people, parts, ENCODER)
    made.grant(max_uses=3)
    return made


@pytest.fixture
def plain(pipe: Any) -> Iterator[np.ndarray]:
    """What the pipeline draws without anybody; afterwards it still does."""
    before, state = call(pipe), vars(pipe).copy()
    weights = {name: tensor.clone() for name, tensor in pipe.transformer.state_dict().items()}
    modules = dict(pipe.transformer.named_modules())
    yield before
    assert vars(pipe) == state
    assert type(pipe).__module__.startswith("diffusers.")
    assert {name: id(m) for name, m in pipe.transformer.named_modules()} == {n: id(m) for n, m in modules.items()}
    after = pipe.transformer.state_dict()
    assert set(after) == set(weights)
    assert all(torch.equal(after[name].view(torch.uint8), weights[name].view(torch.uint8)) for name in weights)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in modules.values())
    assert np.array_equal(before, call(pipe))


def call(pipe: Any, **changes: Any) -> np.ndarray:
    asked = {"prompt": PROMPT, "width": 16, "height": 16, "num_frames": 5, "num_inference_steps": 2}
    asked |= {"generator": torch.Generator().manual_seed(3), "output_type": "np", **changes}
    return np.asarray(pipe(**asked).frames)


def on(pipe: Any, lent: Lendable, options: CastOptions = SCENE) -> Any:
    return plug(pipe, lent.double, borrowed=lent.borrowed(), options=options)


def test_a_stock_pipeline_shows_the_person_and_is_as_before_afterwards(
    pipe: Any, lent: Lendable, plain: np.ndarray, tmp_path: Path
) -> None:
    out = tmp_path / "clip.mp4"
    with on(pipe, lent) as stage:
        made = pipe(prompt=PROMPT, output_type="np").frames
        stage.save(out, made)
    assert np.asarray(made).shape == plain.shape
    assert np.abs(np.asarray(made) - plain).max() > 1e-3
    with av.open(str(out)) as clip:
        assert clip.streams.video[0].frames == 5
    assert lent.decisions() == [("allow", ""), ("released", "")]


@pytest.mark.parametrize("kind", ["np", "pt", "pil"])
def test_whatever_a_pipeline_returns_is_saved(
    pipe: Any, lent: Lendable, plain: np.ndarray, tmp_path: Path, kind: str
) -> None:
    with on(pipe, lent) as stage:
        assert stage.save(tmp_path / "clip.mp4", pipe(prompt=PROMPT, output_type=kind).frames) == (384, 384)


def test_generating_is_the_same_as_calling_the_pipeline(pipe: Any, lent: Lendable, plain: np.ndarray) -> None:
    with on(pipe, lent) as stage:
        made = stage.generate().frames
    with on(pipe, lent):
        called = call(pipe, guidance_scale=5.0)
    assert np.array_equal(made, (called[0] * 255).round().astype(np.uint8))


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "a person talking"},
        {"prompt": [PROMPT, PROMPT]},
        {"width": 32},
        {"num_frames": 9},
        {"num_videos_per_prompt": 2},
        {"generator": torch.Generator().manual_seed(4)},
        {"prompt": None, "prompt_embeds": torch.zeros(1, 8, 32)},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_another_clip_than_the_one_asked_for_is_refused(
    pipe: Any, lent: Lendable, plain: np.ndarray, changes: dict[str, Any]
) -> None:
    with pytest.raises(NotPermitted) as caught, on(pipe, lent):
        call(pipe, **changes)
    assert caught.value.code == "request_changed"
    assert lent.decisions() == [("allow", ""), ("withheld", "request_changed")]


def test_a_use_is_for_one_clip(pipe: Any, lent: Lendable, plain: np.ndarray) -> None:
    with pytest.raises(NotPermitted, match="made already"), on(pipe, lent):
        call(pipe)
        call(pipe)
    with pytest.raises(NotPermitted, match="made already"), on(pipe, lent) as stage:
        stage.generate()
        stage.generate()


def test_no_clip_is_left_of_a_use_that_was_revoked_while_it_was_made(
    pipe: Any, lent: Lendable, plain: np.ndarray, tmp_path: Path
) -> None:
    out = tmp_path / "clip.mp4"

    def meanwhile(stage: Stage) -> None:
        made = pipe(prompt=PROMPT, output_type="np").frames
        revoke(lent.folder / "bob.grant", keys=lent.people.ada)
        stage.save(out, made)

    with pytest.raises(NotPermitted) as caught, on(pipe, lent) as stage:
        meanwhile(stage)
    assert caught.value.code == "revoked"
    assert not list(tmp_path.glob("*.mp4"))


def test_an_error_inside_leaves_no_trace(pipe: Any, lent: Lendable, plain: np.ndarray) -> None:
    with pytest.raises(ZeroDivisionError), on(pipe, lent):
        _ = 1 / 0
    assert lent.decisions()[-1] == ("withheld", "failed")


def test_what_the_grant_does_not_cover_never_opens(pipe: Any, lent: Lendable, plain: np.ndarray) -> None:
    with pytest.raises(NotPermitted) as caught, on(pipe, lent, CastOptions("comedy", PROMPT, frames=5)):
        pytest.fail("opened")
    assert caught.value.code == "wrong_purpose"


def test_a_double_for_other_weights_is_refused(lent: Lendable) -> None:
    with pytest.raises(NotVerified, match="other base weights"), on(tiny_wan(seed=1), lent):
        pytest.fail("opened")


def test_a_pipeline_of_no_known_family_is_said(lent: Lendable) -> None:
    with pytest.raises(UsageError, match="no generator takes a object") as caught, on(object(), lent):
        pytest.fail("opened")
    assert "WanPipeline" in caught.value.hint
    assert lent.receipts() == []


def test_the_owner_needs_no_grant(pipe: Any, lent: Lendable, plain: np.ndarray) -> None:
    with cameo.plug(pipe, lent.double, keys=lent.people.ada, options=SCENE) as stage:
        assert stage.generate().frames.shape == (5, 16, 16, 3)


def test_the_example_casts_in_a_pipeline_from_a_folder(
    pipe: Any, lent: Lendable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, people = tmp_path / "wan", lent.people
    pipe.save_pretrained(folder)
    names = {"--as": people.bob, "--host": people.studio}
    for name, keys in names.items():
        keys.save(tmp_path / f"{name.strip('-')}.key", passphrase="a passphrase")
    (tmp_path / "ada.pub").write_bytes(people.ada.public.to_bytes())
    example = load_example(ROOT / "examples" / "cast_in_your_pipeline.py")
    monkeypatch.setattr(example.getpass, "getpass", lambda _question: "a passphrase")
    words = [str(folder), str(lent.double), str(lent.folder / "bob.grant"), "--owner", str(tmp_path / "ada.pub")]
    words += ["--as", str(tmp_path / "as.key"), "--host", str(tmp_path / "host.key")]
    words += ["--frames", "5", "--size", "16", "16", "--out", str(tmp_path / "clip.mp4")]
    assert example.main(words) == 0
    assert (tmp_path / "clip.mp4").stat().st_size > 0
    assert example.main([*words, "--purpose", "comedy"]) == NotPermitted.exit_code


def test_what_a_call_leaves_open_is_what_was_asked_for(pipe: Any, lent: Lendable, plain: np.ndarray) -> None:
    open_ones = {"width": None, "height": None, "num_frames": None, "generator": None}
    with on(pipe, lent):
        assert call(pipe, **open_ones).shape == plain.shape


def test_a_slower_clip_is_a_longer_one() -> None:
    """LTX-2 makes sound for as long as frames and rate say."""
    asked = Direction(9, 3, PROMPT, (32, 32), 1)
    known = {"prompt", "width", "height", "num_frames", "num_inference_steps", "frame_rate", "generator"}
    assert _as_asked_for({}, asked, 24.0, known)["frame_rate"] == 24.0
    with pytest.raises(NotPermitted, match="1 frames a second"):
        _as_asked_for({"frame_rate": 1.0}, asked, 24.0, known)


@pytest.mark.parametrize("name", ["prompt_template", "system_prompt", "image", "enable_prompt_enhancement"])
def test_words_that_were_not_judged_are_refused(name: str) -> None:
    with pytest.raises(NotPermitted, match=f"{name} goes past the owner's rules"):
        _as_asked_for({name: "undressed"}, Direction(9, 3, PROMPT, (32, 32), 1), 24.0, {"prompt", "width", "height"})
