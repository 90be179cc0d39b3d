"""Synthesise English digits and other words with many voices: espeak-ng and flite, both from the system's packages.

espeak-ng (GPL-3.0-or-later) and flite (Carnegie Mellon's own free licence) are programs that are run here; the speech
they make is not bound by their licences, and none of it is kept.
"""

from __future__ import annotations

import io
import subprocess
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import resample_poly

if TYPE_CHECKING:
    from cameo.records import Float32

RATE_HZ = 16_000
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = (
    "en-us", "en-gb", "en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-gb-x-gbclan", "en-gb-x-gbcwmd",
)  # fmt: skip
# Left out of the fit, for measuring: a few variants of espeak, and flite's slt.
VARIANTS = (
    "Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Jacky", "Lee", "Marco",
    "Mario", "Michael", "Mike", "Nguyen", "RicishayMax", "Storm", "adam", "anika", "announcer", "antonio",
    "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward", "f1", "f2", "f3", "f4",
    "grandma", "grandpa", "gustave", "iven", "iven3", "john", "kaukovalta", "klatt", "klatt3", "klatt5",
    "linda", "m1", "m2", "m3", "m4", "m5", "m7", "marcelo", "max", "michel",
)  # fmt: skip
HELD_OUT_VARIANTS = (
    "Gene2", "Hugo", "RicishayMax3", "anikaRobot", "edward2", "f5", "iven4", "klatt2", "klatt4", "m6", "m8",
    "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph",
    "steph2", "travis", "victor", "zac",
)  # fmt: skip
FLITE, HELD_OUT_FLITE = ("kal16", "awb", "rms"), ("slt",)
# What people say beside digits, with words that come close to one.
OTHERS = (
    "oh", "none", "wonder", "run", "sun", "fun", "once", "when", "want", "while", "who", "you", "true",
    "through", "shoe", "tooth", "zoo", "free", "tree", "these", "she", "he", "me", "see", "key", "far", "fall",
    "more", "door", "floor", "store", "force", "fine", "find", "fire", "high", "hi", "live", "life", "hive",
    "time", "side", "sick", "fix", "sit", "sky", "this", "is", "his", "since", "save", "say", "heaven",
    "eleven", "ever", "never", "even", "says", "them", "then", "ten", "age", "it", "at", "eat", "hey", "day",
    "way", "late", "great", "night", "mine", "line", "wine", "nice", "no", "now", "know", "name", "near",
    "hero", "zebra", "there", "here", "year", "hello", "thanks", "please", "okay", "yes", "right", "left",
    "centre", "stop", "start", "again", "camera", "ready", "good", "morning", "water", "people", "money",
    "house", "little", "because", "about", "twenty", "thirteen", "fifteen", "sixteen", "seventy", "eighteen",
    "hundred", "thousand", "first", "second", "third", "sixth", "ninth", "half", "double", "apple", "orange",
    "table", "window", "picture", "music", "world", "school", "mother", "father", "woman", "children",
    "something", "nothing", "I do not know", "what was that", "turn left now", "one moment please", "let me see",
)  # fmt: skip
LANGUAGES = ("de", "fr-fr", "es", "it", "pl", "nl", "sv", "pt", "ru", "tr", "cs", "fi")


@dataclass(frozen=True, slots=True)
class Voice:
    """Choose a voice: `engine` "espeak" or "flite", its `name`, and how it speaks (1 is usual)."""

    engine: str
    name: str
    tempo: float
    pitch: float


@dataclass(frozen=True, slots=True)
class Word:
    """Hold a word: `sound` `[N]` at 16 kHz without silence around it; `label` a digit, or 10 for anything else."""

    sound: Float32
    label: int
    voice: Voice


def draw_voices(count: int, seed: int, held_out: bool) -> Iterator[Voice]:
    """Draw voices; one in five is flite's."""
    random = np.random.default_rng((seed, held_out))
    variants, flite = (HELD_OUT_VARIANTS, HELD_OUT_FLITE) if held_out else (VARIANTS, FLITE)
    for index in range(count):
        tempo, pitch = float(random.uniform(0.75, 1.3)), float(random.uniform(0.6, 1.5))
        if index % 5 == 0:
            yield Voice("flite", str(random.choice(flite)), tempo, 0.8 + 0.4 * (pitch - 0.6))
        else:
            yield Voice("espeak", f"{random.choice(ACCENTS)}+{random.choice(variants)}", tempo, pitch)


def say(voice: Voice, text: str) -> Float32:
    """Synthesise `text`, peak 0.5, silence cut off.

    Raises:
        subprocess.CalledProcessError: the engine failed.
    """
    if voice.engine == "espeak":
        pitch, speed = round(50 * voice.pitch), round(150 * voice.tempo)
        command = ["espeak-ng", "-v", voice.name, "-p", str(min(pitch, 99)), "-s", str(speed), "--stdout", text]
    else:
        command = ["flite", "-voice", voice.name, "--setf", f"duration_stretch={1 / voice.tempo:.3f}",
                   "--setf", f"int_f0_target_mean={_PITCH_HZ[voice.name] * voice.pitch:.1f}",
                   "-t", text, "-o", "/dev/stdout"]  # fmt: skip
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return trimmed(*_read_wave(raw))


_PITCH_HZ = {"kal16": 105.0, "awb": 130.0, "rms": 95.0, "slt": 170.0}


def _read_wave(raw: bytes) -> tuple[Float32, int]:
    """Read the sound of a WAVE file whose length field a stream may have left open."""
    with wave.open(io.BytesIO(raw)) as file:
        rate_hz = file.getframerate()
    at = raw.index(b"data") + 8
    samples = np.frombuffer(raw[at : at + (len(raw) - at) // 2 * 2], "<i2")
    return (samples / 32768).astype(np.float32), rate_hz


def trimmed(sound: Float32, rate_hz: int) -> Float32:
    """Bring to 16 kHz and a peak of 0.5, and cut off what is silent on both sides."""
    shared = gcd(RATE_HZ, rate_hz)
    sound = resample_poly(sound, RATE_HZ // shared, rate_hz // shared).astype(np.float32)
    peak = float(np.abs(sound).max()) if len(sound) else 0.0
    if peak == 0:
        return np.zeros(1600, np.float32)
    loud = np.flatnonzero(np.abs(sound) > 0.02 * peak)
    return sound[max(0, loud[0] - 160) : loud[-1] + 800] * np.float32(0.5 / peak)


def words(voices: Iterator[Voice], others: int, seed: int) -> Iterator[Word]:
    """Let every voice say each digit and `others` other things, one in three of those a digit of another language."""
    random = np.random.default_rng((seed, 3))
    for voice in voices:
        for label, text in enumerate(DIGITS):
            said = text + str(random.choice(["", ".", "?", ",", "!"]))
            yield Word(say(voice, said), label, voice)
        for _ in range(others):
            if voice.engine == "espeak" and random.uniform() < 0.33:
                language = random.choice(LANGUAGES)
                foreign = Voice("espeak", f"{language}+{voice.name.split('+')[1]}", voice.tempo, voice.pitch)
                yield Word(say(foreign, str(random.integers(10))), 10, foreign)
            else:
                yield Word(say(voice, str(random.choice(OTHERS))), 10, voice)
