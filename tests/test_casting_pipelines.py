"""The whole way with pipelines of diffusers: tuned, sealed, lent, cast, and gone again without a trace."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from cameo.casting import cast
from cameo.cli import main
from cameo.condition.plug import plug
from cameo.errors import MissingWeights, NotPermitted, NotVerified, UsageError
from cameo.generators.base import Direction
from cameo.generators.shelf import load_generator
from cameo.media import write_mp4
from cameo.seal.bundle import Part
from cameo.staging import CastOptions, enlarged, times_shown
from tests.condition.conftest import tuned
from tests.generators.tiny_pipelines import FAMILIES
from tests.lendable import Lendable, People, seal_lendable
from tests.seal.conftest import ENCODER

TERMS = """
[[purposes]]
id = "birthday"
generators = ["wan", "ltx2"]
outputs = ["video", "audio"]

[[purposes]]
id = "silent"
generators = ["wan", "ltx2"]
"""
PASSPHRASE = "correct horse battery staple"
SHORT = CastOptions(prompt="a person dancing", frames=9, size=(32, 32), steps=1, seed=3)


@dataclass(frozen=True)
class Lent:
    """Hold a double that was tuned for a tiny pipeline, which lies in a folder, and how it is lent."""

    name: str
    id: str
    folder: Path
    lending: Lendable

    @property
    def options(self) -> CastOptions:
        return dataclasses.replace(SHORT, generator=f"{self.id}:{self.folder}@cpu", purpose="birthday")

    def cast(self, out: Path, grant: str = "", **changes: Any) -> Any:
        """Cast it as its owner, or with a grant at the studio."""
        right: dict[str, Any] = {"borrowed": self.lending.borrowed(grant)} if grant else {}
        right = right or {"keys": self.lending.people.ada}
        return cast(self.lending.double, **right, out=out, options=dataclasses.replace(self.options, **changes))


@pytest.fixture(scope="module", params=["wan", "ltx2.0", "ltx2.3"])
def lent(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    family = tuned(request.param)
    generator, adapter = family.generator, family.adapter
    folder = tmp_path_factory.mktemp("lent")
    generator.pipe.save_pretrained(folder / "weights")
    parts = [
        Part(name, name.rpartition(".")[2], data, adapter.generator, adapter.base_digest)
        for name, data in adapter.parts.items()
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMEO_HOME", str(folder / "home"))
        lending = seal_lendable(folder, People.made(), parts, ENCODER, TERMS)
        lending.grant("birthday", out="whole.grant", outputs=("audio", "video"))
        lending.grant("birthday", out="face.grant", modalities=("face",), outputs=("video",))
        yield Lent(request.param, generator.id, folder / "weights", lending)


def tracks(path: Path) -> tuple[int, int]:
    """How many pictures and how many channels of sound a clip has."""
    with av.open(str(path)) as container:
        channels = container.streams.audio[0].channels if container.streams.audio else 0
        return sum(1 for _ in container.decode(video=0)), channels


def pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_the_owner_casts_it(lent: Lent, tmp_path: Path) -> None:
    made = lent.cast(tmp_path / "a.mp4")
    assert made.generator == lent.id
    assert (made.frames, made.width, made.height) == (9, 384, 384)
    assert tracks(tmp_path / "a.mp4") == (9, 2 if lent.id == "ltx2" else 0)
    # Exactly what plugging the same bytes into the same weights gives, and not what the base gives.
    engine, parts = load_generator(lent.options.generator), tuned(lent.name).adapter.parts
    direction = engine.settle(Direction(9, 3, SHORT.prompt, size=(32, 32), steps=1))
    with plug(engine, parts) as person:
        worn = engine.perform(person, direction)
    base = engine.perform(person, direction)
    shown = [pictures(tmp_path / "a.mp4")]
    for made_here in (worn, base):
        write_mp4(tmp_path / "b.mp4", enlarged(made_here.frames, times_shown(32)), engine.fps)
        shown.append(pictures(tmp_path / "b.mp4"))
    assert np.array_equal(shown[0], shown[1])
    assert not np.array_equal(shown[0], shown[2])


def test_a_friend_casts_it_with_a_grant(lent: Lent, tmp_path: Path) -> None:
    lent.cast(tmp_path / "a.mp4", "whole.grant")
    assert tracks(tmp_path / "a.mp4") == (9, 2 if lent.id == "ltx2" else 0)
    assert lent.lending.receipts()[-1].generator == lent.id


def test_with_the_face_alone_the_clip_is_silent(lent: Lent, tmp_path: Path) -> None:
    for name, changes in {"face.grant": {}, "whole.grant": {"modalities": ("face",)}}.items():
        lent.cast(tmp_path / "a.mp4", name, **changes)
        assert tracks(tmp_path / "a.mp4") == (9, 0)


def test_a_purpose_without_sound_gives_none(lent: Lent, tmp_path: Path) -> None:
    lent.cast(tmp_path / "a.mp4", purpose="silent")
    assert tracks(tmp_path / "a.mp4") == (9, 0)


def test_voice_is_refused_where_only_the_face_is_lent(lent: Lent, tmp_path: Path) -> None:
    with pytest.raises(NotPermitted) as caught:
        lent.cast(tmp_path / "a.mp4", "face.grant", modalities=("face", "voice"))
    assert caught.value.code == "out_of_scope"
    assert not list(tmp_path.iterdir())


def test_weights_of_another_model_are_refused(lent: Lent, tmp_path: Path) -> None:
    other = FAMILIES[lent.name]()
    with torch.no_grad():
        next(other.denoiser.parameters()).add_(0.5)
    other.pipe.save_pretrained(tmp_path / "other")
    with pytest.raises(NotVerified, match="other base weights"):
        lent.cast(tmp_path / "a.mp4", generator=f"{lent.id}:{tmp_path / 'other'}")
    assert not (tmp_path / "a.mp4").exists()


def test_what_cannot_be_made_costs_no_use(lent: Lent, tmp_path: Path) -> None:
    before = len(lent.lending.receipts())
    for changes in (
        {"frames": 10},
        {"size": (33, 32)},
        {"size": (8, 8)},
        {"steps": 0},
        {"frames": 7},
        {"generator": lent.id},
    ):
        with pytest.raises(UsageError):
            lent.cast(tmp_path / "a.mp4", "whole.grant", **changes)
    with pytest.raises(MissingWeights):
        lent.cast(tmp_path / "a.mp4", "whole.grant", generator=f"{lent.id}:org/not-here-at-all")
    assert len(lent.lending.receipts()) == before


def test_the_command_line_does_the_same(
    lent: Lent, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "ada.key"
    lent.lending.people.ada.save(key, PASSPHRASE)
    monkeypatch.setenv("CAMEO_PASSPHRASE", PASSPHRASE)
    out = tmp_path / "a.mp4"
    words = ["cast", str(lent.lending.double), "--key", str(key), "-o", str(out), "--purpose", "birthday"]
    words += ["--generator", lent.options.generator, "--size", "32x32", "--frames", "9", "--steps", "1"]
    assert main([*words, "--modality", "face"]) == 0
    assert tracks(out) == (9, 0)
    assert f"{lent.id}, seed 0" in capsys.readouterr().out
    assert main([*words, "--size", "32"]) == 2
    assert "a size is width x height" in capsys.readouterr().err
