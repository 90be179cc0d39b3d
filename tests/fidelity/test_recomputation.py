"""The harness says what a script says that is written directly on insightface and numpy, on the same frames."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from cameo.capture.stills import count_pictures, read_photo, read_pictures
from cameo.media import write_mp4
from cameo.scoring import FidelityOptions, score_fidelity
from tests.fidelity import by_hand
from tests.fidelity.conftest import Stage, frame, write_photo

REAL_PACK = Path(__file__).parents[3] / "shared" / "models" / "insightface" / "models" / "edge_s"
MEDIA = Path(__file__).parents[3] / "shared" / "media"


def frames_of(clip: Path, count: int) -> list[np.ndarray]:
    numbers = np.linspace(0, count_pictures(clip) - 1, count, dtype=int)
    pictures = {number: picture for number, _, picture in read_pictures(clip, numbers.tolist())}
    return [pictures[number] for number in numbers.tolist()]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip that drifts to somebody else, with frames without a face and one whose face only a margin shows."""
    folder = tmp_path_factory.mktemp("clip")
    weights = np.linspace(0, 0.6, 40)[:, None, None, None]
    own, other = (np.stack([frame(seed, 3 + k % 4, 4) for k in range(40)]) for seed in (1, 9))
    frames = (own * (1 - weights) + other * weights).astype(np.uint8)
    frames[5:9] = 0
    write_mp4(folder / "ada.mp4", np.asarray(frames, np.uint8), 8)
    return folder / "ada.mp4"


@pytest.mark.parametrize(("protocol", "count"), [("opens2v", 32), ("consisid", 16)])
@pytest.mark.parametrize("as_published", [False, True])
def test_packs_of_random_weights(
    stage: Stage, clip: Path, tmp_path: Path, protocol: str, count: int, as_published: bool
) -> None:
    reference = write_photo(tmp_path / "people" / "ada.png", 1)
    options = FidelityOptions(
        protocol=protocol, as_published=as_published, face_model=stage.model, curricularface=stage.curricular
    )
    made = score_fidelity(clip.parent, tmp_path / "people", options=options).clips[0]
    arc, cur = by_hand.facesim(stage.pack, stage.curricular, read_photo(reference), frames_of(clip, count))
    assert made.score["first"] == pytest.approx(arc, abs=1e-3)
    assert made.score["curricularface"] == pytest.approx(cur, abs=1e-3)
    assert all(0.2 < score < 0.9 for score in (arc, cur))
    assert all(min(filter(math.isfinite, cosines)) > 0 for cosines in made.likeness.values())  # the slip is not met
    assert 0.5 < made.found["first"] < 1


@pytest.mark.skipif(not (REAL_PACK.is_dir() and MEDIA.is_dir()), reason="real weights are not here")
def test_a_real_pack_on_real_clips(stage: Stage, tmp_path: Path) -> None:
    person = sorted(MEDIA.glob("*.mp4"))[0]
    some = frames_of(person, 12)
    (tmp_path / "people").mkdir()
    cv2.imwrite(str(tmp_path / "people" / "ada.png"), some[0][..., ::-1])
    (tmp_path / "clips").mkdir()
    write_mp4(tmp_path / "clips" / "ada.mp4", np.stack(some[1:]), 8)
    options = FidelityOptions(
        protocol="consisid", as_published=True, face_model=f"insightface:{REAL_PACK}", curricularface=stage.curricular
    )
    made = score_fidelity(tmp_path / "clips", tmp_path / "people", options=options).clips[0]
    frames = frames_of(tmp_path / "clips" / "ada.mp4", 16)
    arc, _ = by_hand.facesim(REAL_PACK, stage.curricular, some[0], frames)
    assert made.score["first"] == pytest.approx(arc, abs=1e-3)
    assert arc > 0.5


def test_the_slip_of_the_published_script(stage: Stage, tmp_path: Path) -> None:
    """CurricularFace frames of likeness 0 vanish from the published mean of OpenS2V, and from no other."""
    write_photo(tmp_path / "people" / "ada.png", 1)
    for k in range(5):  # strangers, some of whose cosines are below zero
        (tmp_path / "clips").mkdir(exist_ok=True)
        write_mp4(tmp_path / "clips" / f"ada-{k}.mp4", np.stack([frame(20 + k), frame(40 + k), frame(60 + k)]), 8)

    def scores(protocol: str, as_published: bool) -> list[dict[str, float]]:
        options = FidelityOptions(protocol, as_published, stage.model, "", stage.curricular)
        made = score_fidelity(tmp_path / "clips", tmp_path / "people", options=options)
        return [
            {**clip.score, "zeros": float(np.mean(np.array(clip.likeness["curricularface"]) <= 0))}
            for clip in made.clips
        ]

    plain, slipped = scores("opens2v", False), scores("opens2v", True)
    mixed = [k for k, one in enumerate(plain) if 0 < one["zeros"] < 1]
    assert mixed, "no clip has frames below and above zero: the test tests nothing"
    for k, (one, other) in enumerate(zip(plain, slipped, strict=True)):
        assert one["first"] == pytest.approx(other["first"], abs=1e-6)
        kept = 1 - one["zeros"]
        expected = one["curricularface"] / kept if kept else 0.0
        assert other["curricularface"] == pytest.approx(expected, abs=1e-4)
        assert (k in mixed) == (other["curricularface"] > one["curricularface"] + 1e-6)
    assert [one["curricularface"] for one in scores("consisid", True)] == pytest.approx(
        [one["curricularface"] for one in scores("consisid", False)], abs=1e-6
    )
