"""How well every encoder verifies people: AUC, EER and true accepts at 1 % false accepts, with 95 % intervals.

    python -m benchmarks.verification [--face-model MODEL]... [--voice-model MODEL]... [--faces FOLDER]
                                      [--speech FOLDER] [--held-out] [--out FILE.json] [--calibrate FILE]

MODEL is what `cameo enroll` takes: embedded, insightface:FOLDER, onnx:FILE, ecapa:FOLDER; or one of another library, to
have it beside ours: deepface:MODEL@PYTHON, resemblyzer (see `benchmarks/peers/encoders.py`). Without folders the data
beside the repository (`shared/`) is used where it is, sample people otherwise; `benchmarks/verification_sets.py`
describes a folder. `--held-out` takes every fifth speaker of --speech: the encoder that ships was fitted on the others.
`--out` writes everything as JSON, and curves beside it; `--calibrate` writes what was measured for the models that were
named to a table, which makes them `matched` when it lies beside their weights as calibration.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import torch

from benchmarks import verification_sets as sets
from benchmarks.error_rates import BOOTSTRAP_ROUNDS, Pairs, rates, share_above, threshold_at
from benchmarks.peers.encoders import load_face, load_voice
from benchmarks.results import write_result
from benchmarks.speakers import HELD_OUT_EVERY
from benchmarks.verification_plots import curve, draw
from cameo.embed.calibration import Calibration, fit_calibration
from cameo.files import atomic_write

if TYPE_CHECKING:
    from benchmarks.verification_sets import Compared
    from cameo.records import EncoderInfo, Float64

FALSE_ACCEPTS = 0.01
SHARED = Path(__file__).parents[2] / "shared"
FACE_SETS = (SHARED / "faces" / "deepface", SHARED / "media")
SPEECH_SETS = (SHARED / "speech" / "librispeech-train-clean-100-excerpt",)
FACE_ENDINGS = sets.PICTURES + sets.CLIPS
SPEECH_ENDINGS = sets.SOUNDS + sets.CLIPS
_CURVE_POINTS = 200


@dataclass(frozen=True, slots=True)
class Interval:
    """Hold a measured value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Result:
    """Hold what one encoder came to on one set.

    Attributes:
        failed: recordings without a vector; a product has to count them as rejected.
        limit: the score that 1 % of pairs of two people reach.
        accepted_same, accepted_different: at the encoder's own threshold.
    """

    pairs: str
    genuine: int
    impostor: int
    recordings: int
    failed: int
    auc: Interval
    eer: Interval
    true_accepts: Interval
    limit: float
    accepted_same: float
    accepted_different: float


def true_accepts(pairs: Pairs, weight: Float64 | None = None) -> float:
    """Share of pairs of one person accepted where 1 % of pairs of two are, each pair counting `weight` times."""
    order = np.argsort(-pairs.score, kind="stable")
    same = pairs.same[order]
    count = np.ones(len(order)) if weight is None else weight[order]
    last = np.r_[np.diff(pairs.score[order]) != 0, True]  # equal scores are accepted together
    false = np.cumsum(count * ~same)[last] / max(float((count * ~same).sum()), 1e-9)
    hit = np.cumsum(count * same)[last] / max(float((count * same).sum()), 1e-9)
    allowed = hit[false <= FALSE_ACCEPTS + 1e-12]
    return float(allowed[-1]) if len(allowed) else 0.0


def evaluate(compared: Compared, threshold: float, seed: int = 0) -> Result:
    """Measure one set of pairs; intervals come from drawing its people anew (see `error_rates.measured`).

    Raises:
        SystemExit: there are no pairs of one of the two kinds.
    """
    pairs = compared.pairs
    if not pairs.same.any() or pairs.same.all():
        raise SystemExit(f"{compared.name}: pairs of one person and pairs of two are needed")
    whole = rates(pairs)
    drawn = [(*_two(pairs, weight), true_accepts(pairs, weight)) for weight in _drawn(pairs, seed)]
    low, high = np.percentile(np.array(drawn), [2.5, 97.5], axis=0)
    values = (whole.auc, whole.eer, true_accepts(pairs))
    auc, eer, accepts = (Interval(float(v), float(a), float(b)) for v, a, b in zip(values, low, high, strict=True))
    return Result(
        compared.name, int(pairs.same.sum()), int((~pairs.same).sum()), compared.recordings, compared.failed,
        auc, eer, accepts, threshold_at(pairs, FALSE_ACCEPTS), *share_above(pairs, threshold),
    )  # fmt: skip


def write_calibration(path: Path, *measured: Calibration) -> None:
    """Write a table that `cameo.embed.calibration.find_calibration` reads."""
    atomic_write(path, msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")


def _two(pairs: Pairs, weight: Float64) -> tuple[float, float]:
    found = rates(pairs, weight)
    return found.auc, found.eer


def _drawn(pairs: Pairs, seed: int) -> Iterator[Float64]:
    """How often each pair counts when people are drawn anew; draws without one of the kinds are left out."""
    rng = np.random.default_rng(seed)
    known, at = np.unique(np.concatenate([pairs.left, pairs.right]), return_inverse=True)
    left, right = at[: len(pairs.left)], at[len(pairs.left) :]
    for _ in range(BOOTSTRAP_ROUNDS):
        times = np.bincount(rng.integers(0, len(known), len(known)), minlength=len(known)).astype(np.float64)
        weight = np.where(left == right, times[left], times[left] * times[right])
        if (weight * pairs.same).sum() > 0 and (weight * ~pairs.same).sum() > 0:
            yield weight


def _kind(
    models: list[str], load: Callable[[str], Any], measure: Callable[[Any], list[Compared]]
) -> list[tuple[str, EncoderInfo, list[Compared]]]:
    return [(model, (encoder := load(model)).info, measure(encoder)) for model in models]


def _folders(named: Path | None, shared: tuple[Path, ...]) -> list[Path]:
    return [named] if named else [folder for folder in shared if folder.is_dir()]


def _faces(folders: list[Path]) -> Callable[[Any], list[Compared]]:
    return lambda encoder: (
        [sets.compare_folder(folder, FACE_ENDINGS, sets.embed_face(encoder)) for folder in folders]
        or [sets.sample_faces(encoder)]
    )


def _voices(folders: list[Path], every: int) -> Callable[[Any], list[Compared]]:
    return lambda encoder: (
        [sets.compare_folder(folder, SPEECH_ENDINGS, sets.embed_voice(encoder), every) for folder in folders]
        or [sets.sample_voices(encoder)]
    )


def _print(info: EncoderInfo, results: list[Result]) -> None:
    print(f"\n{info.id}: {info.dimension} numbers, {info.assurance}, threshold {info.threshold:.3f}\n")
    head = (
        "pairs",
        "same / different",
        "no vector",
        "AUC (95 %)",
        "EER % (95 %)",
        "TAR % at FAR 1 % (95 %)",
        "accepted",
    )
    print(f"| {' | '.join(head)} |")
    print("|---|---|---|---|---|---|---|")
    for r in results:
        auc = f"{r.auc.value:.4f} ({r.auc.low:.4f}-{r.auc.high:.4f})"
        eer, tar = (f"{100 * i.value:.2f} ({100 * i.low:.2f}-{100 * i.high:.2f})" for i in (r.eer, r.true_accepts))
        above = f"{r.accepted_same:.1%} / {r.accepted_different:.1%}" if np.isfinite(info.threshold) else "no threshold"
        failed = f"{r.failed} of {r.recordings}"
        print(f"| {r.pairs} | {r.genuine} / {r.impostor} | {failed} | {auc} | {eer} | {tar} | {above} |")


def _points(pairs: Pairs) -> list[tuple[float, float]]:
    false, accepted = curve(pairs)
    kept = np.unique(np.linspace(0, len(false) - 1, min(_CURVE_POINTS, len(false))).astype(int))
    return [(round(float(false[k]), 6), round(float(accepted[k]), 6)) for k in kept]


def run(args: argparse.Namespace) -> None:
    """Measure, print, and write what was asked for."""
    face_folders, speech_folders = _folders(args.faces, FACE_SETS), _folders(args.speech, SPEECH_SETS)
    # The encoder that ships was fitted on the other readers.
    every = 1 if args.speech and not args.held_out else HELD_OUT_EVERY
    measured = {
        "face": _kind(args.face_model or ["embedded"], load_face, _faces(face_folders)),
        "voice": _kind(args.voice_model or ["embedded"], load_voice, _voices(speech_folders, every)),
    }
    written: list[dict[str, object]] = []
    for rows in measured.values():
        for model, info, compared in rows:
            results = [evaluate(one, info.threshold) for one in compared]
            _print(info, results)
            named = zip(results, compared, strict=True)
            sets_of = [{**asdict(result), "curve": _points(one.pairs)} for result, one in named]
            written.append({"model": model, "encoder": asdict(info), "sets": sets_of})
    if args.out:
        heard = {f"{kind} recordings": sum(one.recordings for one in rows[0][2]) for kind, rows in measured.items()}
        write_result(args.out, {"models": written}, {**heard, "bootstrap rounds": BOOTSTRAP_ROUNDS})
        for kind, rows in measured.items():
            for k in range(len(rows[0][2])):
                title = rows[0][2][k].name.partition(":")[0]
                drawn = {info.id: one[k].pairs for _, info, one in rows}
                draw(title, drawn, args.out.with_name(f"{args.out.stem}-{kind}-{k}"))
    if args.calibrate:
        asked = {"face": args.face_model, "voice": args.voice_model}
        wanted = [row for kind, rows in measured.items() if asked[kind] for row in rows]
        write_calibration(args.calibrate, *(_calibration(info, one[0]) for _, info, one in wanted))


def _calibration(info: EncoderInfo, compared: Compared) -> Calibration:
    pairs = compared.pairs
    return fit_calibration(pairs.score[pairs.same], pairs.score[~pairs.same], info, f"verification.py: {compared.name}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--face-model", action="append", metavar="MODEL")
    parser.add_argument("--voice-model", action="append", metavar="MODEL")
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--calibrate", type=Path, metavar="FILE")
    torch.set_num_threads(1)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
