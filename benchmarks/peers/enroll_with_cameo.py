"""Make a face and a voice template of each clip as `cameo enroll` does, up to where tuning begins.

    python -m benchmarks.peers.enroll_with_cameo --pack FOLDER --ecapa FOLDER CLIP...

What `benchmarks.enroll_front` compares with the script of `enroll_by_hand`; prints the same line of JSON. The gate
judges each clip and its verdict is thrown away, so that a clip that would be refused is timed like any other.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.peers.told import Stopwatch, Told, memory_peak
from cameo.capture.clip import read_clip
from cameo.capture.quality import assess
from cameo.capture.speech import find_speech
from cameo.embed.face import FaceEncoder, load_face_encoder, see_faces
from cameo.embed.person import pool_face, pool_windows
from cameo.embed.voice import VoiceEncoder, load_voice_encoder
from cameo.faces.track import track_faces


def enroll(face_encoder: FaceEncoder, voice_encoder: VoiceEncoder, clip: str) -> Told:
    """Make both templates of one clip."""
    timed = Stopwatch()
    with timed("decode"):
        recording = read_clip(clip)
    with timed("detect and follow faces"):
        seen = see_faces(face_encoder, recording.frames)
    with timed("landmarks, eyes, lips"):
        track = track_faces(recording.frames, None, seen)
    with timed("speech and gate"):
        speech = find_speech(recording.sound)
        quality = assess(recording, track, speech)
    with timed("embed faces"):
        face, _, used = pool_face(face_encoder, recording, track, quality, seen)
    voice = None
    with timed("embed voice"):
        if speech.seconds >= 1:
            windows = voice_encoder.embed_windows(speech.samples)
            voice = pool_windows(windows, voice_encoder.info)[0].vector
    middle = len(used) // 2
    both = []
    for part in (slice(0, middle), slice(middle, None)):
        scores = np.zeros_like(quality.frame_scores)
        scores[part] = quality.frame_scores[part]
        half, _, _ = pool_face(face_encoder, recording, track, replace(quality, frame_scores=scores), seen)
        both.append(half.vector)
    return Told(timed.stages_s, int(used.sum()), face.vector, (both[0], both[1]), voice)


def main() -> None:
    """Load, embed, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--ecapa", type=Path, required=True)
    parser.add_argument("clips", nargs="+")
    args = parser.parse_args()
    timed = Stopwatch()
    with timed("load"):
        face, voice = load_face_encoder(f"insightface:{args.pack}"), load_voice_encoder(f"ecapa:{args.ecapa}")
    told = [enroll(face, voice, clip).plain() for clip in args.clips]
    print(json.dumps({"load_s": timed.stages_s["load"], "peak": memory_peak(), "clips": told}))


if __name__ == "__main__":
    main()
