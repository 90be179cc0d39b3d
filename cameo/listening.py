"""WORKFLOW: listen to clips and to people's references through a voice encoder, one recording at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cameo.capture.clip import ClipSettings, read_clip, read_voice
from cameo.capture.playback import has_sound
from cameo.capture.speech import find_speech
from cameo.embed.voice import load_voice_encoder
from cameo.errors import ClipError, UsageError
from cameo.faces.lips import LEAST_SPEECH_S, compare_lips
from cameo.faces.track import track_faces
from cameo.fidelity.voice import LEAST_S, RATE_HZ, Voices, plain_lips
from cameo.looking import REAL_PART, REFERENCE_PART
from cameo.scores import Skipped, VoiceBasis, VoiceReference

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from cameo.embed.voice import VoiceEncoder
    from cameo.faces.lips import LipSync
    from cameo.fidelity.folders import ClipFile, PersonFiles
    from cameo.records import Float32
    from cameo.scores import ClipVoice

# Of a clip, of its picture for the lips (25 a second are held at once), and of a recording that stands for somebody.
CLIP_S, LIPS_S, REFERENCE_S = 30.0, 15.0, 120.0
HELD_S = 60.0  # of a person's held-out speech, which is kept: 24 pieces of 2.5 s
REAL_CLIPS = 3  # of a person, whose lips are looked at
_SHORTEST_S = 2.0  # of clips whose lips are looked at; generated ones are short


class Listener:
    """Hear people and clips.

    Args:
        encoder: by what voices are compared.
        apart: whether held-out recordings are files of their own, so that references are used whole.
        speaking: of whom there are clips with sound; where there is nobody, nothing is listened to.
    """

    def __init__(self, encoder: VoiceEncoder, apart: bool, speaking: Collection[str]) -> None:
        self._encoder, self._apart, self._speaking = encoder, apart, speaking
        self._voices = Voices(encoder.embed_windows)
        self._people: list[VoiceReference] = []
        self._unheard: list[Skipped] = []
        self.skipped: list[Skipped] = []

    def meet(self, references: PersonFiles, real: PersonFiles) -> None:
        """Hear a person's reference and held-out speech; files that cannot be read are noted."""
        if not self._speaking:
            return
        parts = ((0.0, 1.0), (0.0, 1.0)) if self._apart else (REFERENCE_PART, REAL_PART)
        known = [self._part(path, parts[0]) for path in references.voices]
        held = [self._part(path, parts[1]) for path in real.voices]
        kept = np.concatenate([np.zeros(0, np.float32), *held])[: int(HELD_S * RATE_HZ)]
        known_s = sum(map(len, known)) / RATE_HZ if self._voices.add(references.person, known, kept) else 0.0
        lips = [self._lips_of_real(path) for path in real.clips[:REAL_CLIPS] if references.person in self._speaking]
        seen = tuple(one for one in map(plain_lips, lips) if one is not None)
        self._people.append(VoiceReference(references.person, known_s, len(kept) / RATE_HZ, seen))

    def hear(self, file: ClipFile) -> ClipVoice | None:
        """Score the speech of a clip; None where there is too little of it, which is noted."""
        if not self._speaking:
            return None
        name = f"{file.system}/{file.name}"
        try:
            if not has_sound(file.path):
                self._unheard.append(Skipped(name, "it has no sound track"))
                return None
            speech = find_speech(read_voice(file.path, ClipSettings(limit_s=CLIP_S)))
        except ClipError as error:
            self._unheard.append(Skipped(name, error.message))
            return None
        voice = self._voices.score(file.person, speech.samples)
        if voice is None:
            self._unheard.append(Skipped(name, f"{speech.seconds:.1f} s of speech, {LEAST_S:g} s is needed"))
            return None
        try:
            return replace(voice, lips=plain_lips(_look_at_lips(file.path)))
        except ClipError as error:
            self._unheard.append(Skipped(name, f"of its lips nothing is told: {error.message}"))
            return voice

    def basis(self) -> VoiceBasis:
        """Say by what voices were compared."""
        info = self._encoder.info
        people, unheard = tuple(self._people), tuple(self._unheard)
        return VoiceBasis(info.id, info.digest, info.licence, info.assurance, people, unheard)

    def _part(self, path: Path, part: tuple[float, float]) -> Float32:
        """Speech in a part of a recording, `[N]`; of a longer one, in that part of its first `REFERENCE_S`."""
        try:
            sound = read_voice(path, ClipSettings(limit_s=REFERENCE_S)) if has_sound(path) else np.zeros(0, np.float32)
        except (ClipError, UsageError) as error:
            self._note(path, error.message)
            return np.zeros(0, np.float32)
        start, end = (round(share * len(sound)) for share in part)
        return find_speech(sound[start:end]).samples

    def _lips_of_real(self, path: Path) -> LipSync | None:
        try:
            return _look_at_lips(path) if has_sound(path) else None
        except (ClipError, UsageError) as error:
            self._note(path, error.message)
            return None

    def _note(self, path: Path, reason: str) -> None:
        if str(path) not in {one.file for one in self.skipped}:
            self.skipped.append(Skipped.told(str(path), reason))


def load_listener(voice_model: str, apart: bool, files: Mapping[str, Sequence[ClipFile]]) -> Listener | None:
    """Prepare to listen to clips; None for the model "none".

    Raises:
        UsageError: there is no such voice encoder.
        MissingWeights: its weights are not to be had.
        MissingExtra: CUDA is asked for and not to be had.
    """
    return None if voice_model == "none" else Listener(load_voice_encoder(voice_model), apart, _speaking(files))


def _speaking(files: Mapping[str, Sequence[ClipFile]]) -> set[str]:
    """Find of whom there is a clip with a sound track; what is wrong with the others is told when they are scored."""
    found: set[str] = set()
    for file in (file for some in files.values() for file in some):
        try:
            if file.person not in found and has_sound(file.path):
                found.add(file.person)
        except (ClipError, UsageError):
            continue
    return found


def _look_at_lips(path: Path) -> LipSync | None:
    """Follow the mouth through the beginning of a clip; None where it cannot be told.

    Raises:
        ClipError: it cannot be read.
    """
    clip = read_clip(path, settings=ClipSettings(limit_s=LIPS_S))
    speech = find_speech(clip.sound)
    if speech.seconds < LEAST_SPEECH_S:
        return None
    return compare_lips(clip, track_faces(clip.frames), speech, _SHORTEST_S)
