"""Say whether two clips show one person, by an encoder of your choice; for example a selfie and a cast clip.

python examples/compare_two_clips.py selfie.mp4 clip.mp4
python examples/compare_two_clips.py selfie.mp4 clip.mp4 --face-model insightface:FOLDER

A recogniser that took no part in tuning is the better judge of a cast clip. The embedded encoder only tells whether
something moved towards somebody: its result is marked consistency-only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cameo
from cameo.capture.clip import read_clip
from cameo.embed.face import load_face_encoder
from cameo.embed.template import compare, pool
from cameo.faces.track import track_faces

if TYPE_CHECKING:
    from cameo.embed.face import FaceEncoder
    from cameo.records import Template


def template_of(path: Path, encoder: FaceEncoder) -> Template:
    """Pool the faces of a clip into one template."""
    clip = read_clip(path)
    track = track_faces(clip.frames)
    vectors, _ = encoder.embed(clip.frames, track.points)
    return pool(vectors, None, encoder.info)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two clips; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--face-model", default="embedded", help="embedded, or insightface:FOLDER")
    options = parser.parse_args(arguments)
    try:
        encoder = load_face_encoder(options.face_model)
        first, second = (template_of(path, encoder) for path in (options.first, options.second))
    except cameo.CameoError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code

    likeness, limit = compare(first, second), encoder.info.threshold
    print(f"likeness {likeness:.2f}; taken for one person from {limit:.2f} ({encoder.info.threshold_source})")
    print(f"by {encoder.info.id}, {encoder.info.assurance}, from {first.count} and {second.count} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
