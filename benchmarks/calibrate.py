"""Fit the calibrations of the embedded encoders, and write them beside their weights.

    python -m benchmarks.calibrate SPEECH_FOLDER [--out cameo/embed/weights/calibration.json]

Faces are rendered people that no fit has seen, templates of twelve frames against those of another scene. Voices are
readers of SPEECH_FOLDER that no fit has heard, one half of each reading against the other half, which is disturbed.
Neither is what a camera sees: the calibration is worth what its pairs are worth, and says so in `source`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.encoders import rendered_faces, spoken_halves
from benchmarks.speakers import held_out, read_speakers
from cameo.embed.calibration import Calibration, fit_calibration
from cameo.embed.face import load_face_encoder
from cameo.embed.voice import load_voice_encoder

if TYPE_CHECKING:
    from benchmarks.error_rates import Pairs
    from cameo.records import EncoderInfo

SEED = 9191  # no fitting script uses it
PEOPLE, SIZE = 60, 160
RATE_HZ, LEAST_S = 16_000, 4.0
OUT = Path(__file__).parents[1] / "cameo" / "embed" / "weights" / "calibration.json"


def calibrate(pairs: Pairs, encoder: EncoderInfo, what: str) -> Calibration:
    """Fit one encoder to scored pairs."""
    return fit_calibration(pairs.score[pairs.same], pairs.score[~pairs.same], encoder, f"benchmarks.calibrate: {what}")


def main() -> None:
    """Measure both encoders, write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    face, voice = load_face_encoder(), load_voice_encoder()
    readings = [r for r in held_out(read_speakers(args.speech)) if len(r) >= LEAST_S * RATE_HZ]
    faces = rendered_faces(face, SIZE, SEED, PEOPLE).templates
    voices = spoken_halves(voice, readings, disturbed=True)
    table = (
        calibrate(faces, face.info, f"{PEOPLE} rendered people, 12 frames against 12 of another scene"),
        calibrate(voices, voice.info, f"{len(readings)} LibriSpeech readers, halves of a reading, one disturbed"),
    )
    args.out.write_bytes(msgspec.json.format(msgspec.json.encode(table), indent=1) + b"\n")
    for one in table:
        limits = ", ".join(f"{t.score:.3f} at {t.rate:g} (at most {t.at_most:.4f})" for t in one.thresholds)
        print(f"{one.encoder}: {one.slope:.2f} s {one.offset:+.2f}; {limits}; {one.genuine} and {one.impostor} pairs")


if __name__ == "__main__":
    main()
