"""Ask a network that somebody brings whether a picture shows a face, or a picture of one: evidence, never a decision.

Two kinds are known: MiniFASNet of Silent-Face-Anti-Spoofing, which looks at the face with what is around it, and the
liveness addon of InsightFace, which looks at an aligned face. Neither ships with cameo, and nothing is downloaded.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cameo.capture.minifasnet import LARGEST, MiniFasNet
from cameo.capture.minifasnet import LICENCE as MINIFASNET_LICENCE
from cameo.errors import MissingWeights, UsageError
from cameo.onnx_files import OnnxNet, first_line
from cameo.records import Evidence
from cameo.weights import RESEARCH_ONLY

if TYPE_CHECKING:
    from cameo.records import Clip, FaceTrack, Float32, UInt8

WEIGHT = 1.0  # as much as a frozen picture: such networks are known to fail on cameras and screens they never saw
_FRAMES = 12
_TURNED_DEG = 30.0
_FACE = np.array([[64, 64], [96, 64], [80, 82], [66, 100], [94, 100]], np.float32)  # in a picture of 160 px
_HINT = "give minifasnet:FOLDER with its networks as *.onnx, insightface:FILE with liveness.onnx, or onnx:FILE"
_UNKNOWN_LICENCE = "not known to cameo: ask whoever made the weights"


class LivenessModel(Protocol):
    """Say of one picture how likely it is that a living face is in it."""

    @property
    def name(self) -> str:
        """What it is, and the beginnings of its digests."""

    @property
    def licence(self) -> str:
        """Who may use the weights."""

    @property
    def threshold(self) -> float:
        """From which mean on a recording counts as of a living face."""

    def live(self, frame: UInt8, points: Float32) -> float | None:
        """Probability 0..1 for `[H, W, 3]` RGB with a face at `[10, 2]` points; None where too little is in view."""


def load_liveness_model(spec: str) -> LivenessModel:
    """Load the model named by `spec`; nothing is downloaded.

    Args:
        spec: `minifasnet:FOLDER`, with the networks of Silent-Face-Anti-Spoofing as `*.onnx`; `onnx:FILE` for one such
            network; `insightface:FILE` for InsightFace's addon `liveness.onnx`.

    Raises:
        UsageError: `spec` names no model.
        MissingWeights: the files are not there, or are of another kind.
    """
    kind, _, place = spec.partition(":")
    if kind == "minifasnet" and place:
        folder = Path(place)
        paths = sorted(folder.glob("*.onnx")) if folder.is_dir() else []
        if not paths:
            raise MissingWeights(f"no MiniFASNet at {folder}", _HINT)
        return MiniFasNet.load(paths, MINIFASNET_LICENCE)
    if kind == "onnx" and place:
        return MiniFasNet.load([Path(place)], _UNKNOWN_LICENCE)
    if kind == "insightface" and place:
        return InsightFaceAddon.load(Path(place))
    raise UsageError(f"unknown liveness model {spec!r}", _HINT)


@dataclass(frozen=True, slots=True)
class InsightFaceAddon:
    """Run InsightFace's own code for its addon, on a session opened here."""

    name: str
    threshold: float
    _addon: Any
    licence: str = RESEARCH_ONLY

    @classmethod
    def load(cls, path: Path) -> InsightFaceAddon:
        """Open the addon's file.

        Raises:
            MissingWeights: it is missing or of another shape.
        """
        net = OnnxNet.open(path, _HINT, LARGEST)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries InsightFace imports, not of ours
            from insightface.addons import ADDON_CATALOG, Liveness
        try:
            addon = Liveness(path, session=net.session)
        except RuntimeError as error:
            raise MissingWeights(f"{net.name} is no liveness addon: {first_line(error)}", _HINT) from error
        known = net.sha256 == ADDON_CATALOG["liveness"].sha256
        model = cls(f"{net.called}, {'as published' if known else 'not the published one'}", addon.threshold, addon)
        model.live(np.full((160, 160, 3), 128, np.uint8), _FACE)  # what is no number shows at once
        return model

    def live(self, frame: UInt8, points: Float32) -> float | None:
        """Ask for one picture; None where the addon finds too little of it in view."""
        try:
            found = self._addon.predict(np.ascontiguousarray(frame[..., ::-1]), points[:5])
        except Exception as error:  # onnxruntime's classes derive from nothing else
            raise MissingWeights(f"cannot run {self.name}: {first_line(error)}", _HINT) from error
        return None if found["live_score"] is None else float(found["live_score"])


def weigh_pictures(clip: Clip, track: FaceTrack, model: LivenessModel) -> Evidence:
    """Ask `model` about frames spread over the recording.

    Raises:
        MissingWeights: the model gives something that is no number.
    """
    title = "Looks like a face, not like a picture of one"
    seen = np.flatnonzero(track.found & (np.abs(np.nan_to_num(track.yaw_deg, nan=90.0)) <= _TURNED_DEG))
    chosen = seen[np.unique(np.linspace(0, len(seen) - 1, min(_FRAMES, len(seen))).round().astype(int))]
    told = [share for i in chosen if (share := model.live(clip.frames[i], track.points[i])) is not None]
    if not told:
        meaning = "the face is not seen well enough, or fills the picture"
        return Evidence("rgb", title, 0.5, WEIGHT, None, False, f"not told by {model.name}", meaning)
    mean = float(np.mean(told))
    passed = mean >= model.threshold
    measured = f"{mean:.2f} in the mean of {len(told)} frames (at least {model.threshold:g}), says {model.name}"
    meaning = f"a network takes it for a {'living face' if passed else 'print or a screen'}; licence: {model.licence}"
    return Evidence("rgb", title, mean, WEIGHT, passed, False, measured, meaning)
