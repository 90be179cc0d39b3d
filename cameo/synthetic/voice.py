"""Voices of people who do not exist: formant synthesis of syllables that belong to no language.

Glottal pulses and noise go through a cascade of resonators whose formants follow the speech sounds; hissing sounds go
past it through a band of their own. Parameters change every 5 ms.
Source: D. H. Klatt, "Software for a cascade/parallel formant synthesizer", 1980, for the structure, the resonators,
their bandwidths, formants 4 to 6 and the formants of the consonants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter, sosfilt

if TYPE_CHECKING:
    from cameo.records import Float32, Float64

RATE_HZ = 16_000
_STEP = 80  # samples between changes of the parameters
STEP_S = _STEP / RATE_HZ
_HIGHER_HZ, _WIDTHS_HZ = (3500, 4500, 5500), (60, 90, 150, 250, 400, 700)
_NEUTRAL_HZ = (500, 1500, 2500)  # a tube of 17.5 cm
_SYLLABLE_S, _SHORTEST_S = 0.26, 0.8  # of a syllable, about, and of a phrase
_PEAK, _ROOM = 0.6, 4e-4  # of the sound, and of the noise in the room it is recorded in


class Phone(NamedTuple):
    """Hold what the mouth does for one speech sound: formants of a man, duration, and levels in 0..1.

    `opening` is that of the lips; `hiss_hz` is the middle of the band of the frication; `pitch` is a factor.
    """

    formants_hz: tuple[int, int, int]
    seconds: float
    opening: float
    voicing: float = 0.0
    aspiration: float = 0.0
    frication: float = 0.0
    hiss_hz: float = 4000
    pitch: float = 1.0

    @property
    def parameters(self) -> tuple[float, ...]:
        """The nine numbers that `utter` takes for each step of time."""
        levels = (self.pitch, self.opening, self.voicing, self.aspiration, self.frication, self.hiss_hz)
        return (*self.formants_hz, *levels)


def _vowel(f1: int, f2: int, f3: int) -> Phone:
    """A vowel; the first formant rises with the opening of the jaw. Source: Lindblom and Sundberg, 1971."""
    return Phone((f1, f2, f3), 0.13, float(np.clip((f1 - 150) / 600, 0.2, 1)), voicing=1)


def _glide(f1: int, f2: int, f3: int, opening: float, voicing: float = 0.6) -> tuple[Phone, ...]:
    return (Phone((f1, f2, f3), 0.07, opening, voicing),)


def _fricative(f1: int, f2: int, f3: int, hiss_hz: float, level: float, voicing: float) -> tuple[Phone, ...]:
    return (Phone((f1, f2, f3), 0.09, 0.12, voicing, 0.02, level, hiss_hz),)


def _stop(f1: int, f2: int, f3: int, hiss_hz: float, lips: float, voiced: bool) -> tuple[Phone, ...]:
    """Closure, burst and, without voice, a breath before the vowel."""
    place = (f1, f2, f3)
    closed = Phone(place, 0.055, lips, voicing=0.15 * voiced)
    burst = Phone(place, 0.010, lips + 0.1, 0.2 * voiced, 0.05, 0.25, hiss_hz)
    breath = Phone(place, 0.030, lips + 0.2, aspiration=0.25, frication=0.05, hiss_hz=hiss_hz)
    return (closed, burst) if voiced else (closed, burst, breath)


# Means of the men. Source: G. E. Peterson and H. L. Barney, "Control methods used in a study of the vowels", 1952.
VOWELS = (
    _vowel(270, 2290, 3010),
    _vowel(390, 1990, 2550),
    _vowel(530, 1840, 2480),
    _vowel(660, 1720, 2410),
    _vowel(730, 1090, 2440),
    _vowel(570, 840, 2410),
    _vowel(440, 1020, 2240),
    _vowel(300, 870, 2240),
    _vowel(640, 1190, 2390),
    _vowel(490, 1350, 1690),
)
# w y r l m n, v z f s sh h, b d g p t k.
CONSONANTS = (
    _glide(290, 610, 2150, 0.10),
    _glide(260, 2070, 3020, 0.20),
    _glide(310, 1060, 1380, 0.20),
    _glide(310, 1050, 2880, 0.25),
    _glide(480, 1270, 2130, 0.0, 0.35),
    _glide(480, 1340, 2470, 0.15, 0.35),
    _fricative(220, 1100, 2080, 6000, 0.06, 0.4),
    _fricative(240, 1390, 2530, 5600, 0.12, 0.3),
    _fricative(340, 1100, 2080, 6000, 0.08, 0.0),
    _fricative(320, 1390, 2530, 5600, 0.30, 0.0),
    _fricative(300, 1840, 2750, 3200, 0.35, 0.0),
    (Phone(_NEUTRAL_HZ, 0.06, 0.3, aspiration=0.3),),
    _stop(200, 1100, 2150, 1000, 0.0, True),
    _stop(200, 1600, 2600, 4200, 0.1, True),
    _stop(200, 1990, 2850, 2000, 0.15, True),
    _stop(400, 1100, 2150, 1000, 0.0, False),
    _stop(400, 1600, 2600, 4200, 0.1, False),
    _stop(300, 1990, 2850, 2000, 0.15, False),
)


@dataclass(frozen=True)
class Speaker:
    """Hold what stays the same whatever a person says.

    Attributes:
        pitch_hz: the middle of the pitch.
        formants: `[6]` factors on a man's formants; a shorter vocal tract has higher ones.
        open_share: part of each period in which the glottis is open, 0..1.
        tilt: pole of the filter that takes high frequencies from the pulses, 0..1.
        breath: noise in the voice, against the pulses.
        jitter, shimmer: standard deviation of period and strength from pulse to pulse.
        tempo: factor on the speed of speaking.
        liveliness: how far stressed syllables rise in pitch.
    """

    pitch_hz: float
    formants: Float64
    open_share: float
    tilt: float
    breath: float
    jitter: float
    shimmer: float
    tempo: float
    liveliness: float


@dataclass(frozen=True)
class Spoken:
    """Hold what was said: `sound` `[N]` float32 mono at 16 kHz in [-1, 1]; `opening` of the lips `[T]`, 0..1."""

    sound: Float32
    opening: Float32


def draw_speaker(seed: int) -> Speaker:
    """Draw a person: pitch and vocal tract go together, loosely, from a deep man's to a high woman's.

    Source: Peterson and Barney 1952: women's pitch is 1.7 and their formants 1.15 times the men's; I. R. Titze,
    "Principles of voice production", 1994: jitter up to 1 %, shimmer up to 7 % in healthy voices.
    """
    random = np.random.default_rng(seed)
    high = random.uniform(0, 1)
    tract = 0.9 + 0.27 * high + random.normal(0, 0.03)
    return Speaker(
        pitch_hz=92 * 2.4**high * np.exp(random.normal(0, 0.12)),
        formants=tract * random.uniform(0.9, 1.1, 6),
        open_share=random.uniform(0.45, 0.7),
        tilt=random.uniform(0.2, 0.6),
        breath=random.uniform(0.01, 0.06),
        jitter=random.uniform(0.003, 0.01),
        shimmer=random.uniform(0.02, 0.07),
        tempo=random.uniform(0.9, 1.15),
        liveliness=random.uniform(0.08, 0.22),
    )


def speak(seed: int, seconds: float, fps: float = 25.0, take: int = 0) -> Spoken:
    """Let the person of `seed` talk, with silence before and after.

    Args:
        seed: who speaks.
        seconds: length of the sound.
        fps: rate of the track of the lips' opening.
        take: what is said; another take is another text in the same voice.
    """
    speaker, random = draw_speaker(seed), np.random.default_rng((seed, take))
    phones = _talk(speaker, seconds, random)
    counts = np.diff(np.round(np.cumsum([0.0, *(phone.seconds for phone in phones)]) / STEP_S)).astype(int)
    steps = int(np.ceil(seconds / STEP_S))
    tracks = np.repeat(np.array([phone.parameters for phone in phones]), counts, axis=0)[:steps]
    # The tongue takes 50 ms from sound to sound, the pitch longer.
    return utter(speaker, coarticulated(tracks, 0.020, 0.060), seconds, fps, random)


def coarticulated(tracks: Float64, tongue_s: float, pitch_s: float) -> Float64:
    """Let tongue and pitch glide from sound to sound; levels change at once.

    Args:
        tracks: `[K, 9]` `Phone.parameters`, one row for every `STEP_S`.
        tongue_s: standard deviation of the filter over the formants, in seconds.
        pitch_s: the same over the pitch.
    """
    smooth = tracks.copy()
    for columns, sigma_s in (
        (slice(0, 3), tongue_s),
        (slice(3, 4), pitch_s),
        (slice(4, 5), 0.025),
        (slice(5, 8), 0.006),
    ):
        smooth[:, columns] = gaussian_filter1d(tracks[:, columns], sigma_s / STEP_S, axis=0)
    return smooth


def utter(speaker: Speaker, tracks: Float64, seconds: float, fps: float, random: np.random.Generator) -> Spoken:
    """Sound `seconds` of `[K, 9]` parameters, one row for every `STEP_S`, with the lips' opening at `fps`."""
    sound = _sound(speaker, tracks, random)[: round(seconds * RATE_HZ)]
    times_s = np.arange(round(seconds * fps)) / fps
    opening = np.interp(times_s, (np.arange(len(tracks)) + 0.5) * STEP_S, tracks[:, 4])
    return Spoken(sound, opening.clip(0, 1).astype(np.float32))


def _talk(speaker: Speaker, seconds: float, random: np.random.Generator) -> list[Phone]:
    """Line up phrases and pauses for `seconds`; the last phrase ends in time."""
    rest = Phone(_NEUTRAL_HZ, 0.2, 0.0)
    phones, left_s = [rest], seconds - 2 * rest.seconds
    while left_s > _SHORTEST_S:
        phrase = _phrase(speaker, min(int(random.integers(7, 14)), int(left_s / _SYLLABLE_S)), random)
        length_s = sum(phone.seconds for phone in phrase)
        if length_s > left_s:  # said a little faster
            phrase = [phone._replace(seconds=phone.seconds * left_s / length_s) for phone in phrase]
        pause = rest._replace(seconds=random.uniform(0.2, 0.45))
        phones += [*phrase, pause]
        left_s -= length_s + pause.seconds
    return [*phones, rest._replace(seconds=seconds)]


def _phrase(speaker: Speaker, count: int, random: np.random.Generator) -> list[Phone]:
    """Some syllables on one breath: the pitch falls, stressed syllables rise from it, the last one is drawn out.

    Source: J. 't Hart, R. Collier and A. Cohen, "A perceptual study of intonation", 1990, for declination; D. H. Klatt,
    "Linguistic uses of segmental duration in English", 1976, for the lengthening.
    """
    phones: list[Phone] = []
    for index in range(count):
        stressed, last = random.uniform() < 0.4, index == count - 1
        pitch = 1.10 - 0.22 * index / count + speaker.liveliness * stressed - 0.06 * last
        stretch = (1.25 if stressed else 0.95) * (1.35 if last else 1.0)
        level = random.uniform(0.85, 1.0) * (1.0 if stressed else 0.8)
        syllable = list(CONSONANTS[random.integers(len(CONSONANTS))])
        first, second = (VOWELS[i] for i in random.integers(len(VOWELS), size=2))
        syllable.append(first._replace(seconds=first.seconds * stretch))
        if random.uniform() < 0.2:  # a diphthong
            syllable.append(second._replace(seconds=0.06 * stretch))
        if random.uniform() < 0.25:
            syllable += CONSONANTS[random.integers(len(CONSONANTS))][:1]
        for phone in syllable:
            seconds = phone.seconds * random.uniform(0.85, 1.15) / speaker.tempo
            phones.append(phone._replace(seconds=seconds, pitch=pitch, voicing=phone.voicing * level))
    return phones


def _sound(speaker: Speaker, tracks: Float64, random: np.random.Generator) -> Float32:
    """Synthesize `[K * 80]` samples from `[K, 9]` parameters."""
    pitch, _, voicing, aspiration, frication = np.repeat(tracks[:, 3:8], _STEP, axis=0).T
    flow, pulses = _glottis(speaker, pitch * speaker.pitch_hz, random)
    noise = random.standard_normal((2, len(pitch)))
    breath = noise[0] * (speaker.breath * voicing * (0.3 + flow) + aspiration)
    higher = np.broadcast_to(np.array(_HIGHER_HZ, float), (len(tracks), 3))
    formants = np.concatenate([tracks[:, :3], higher], 1) * speaker.formants
    throat = _filtered(pulses * voicing + 0.5 * breath, _resonators(formants))
    hiss = _filtered(noise[1] * frication, _bands(tracks[:, 8:] * speaker.formants[3]))
    loud = voicing > 0.5
    level = np.sqrt(np.mean(throat[loud] ** 2)) if loud.any() else 1.0
    sound = throat / level + 4 * hiss
    sound = _PEAK * sound / max(np.abs(sound).max(), 1e-9) + _ROOM * random.standard_normal(len(sound))
    return sound.clip(-1, 1).astype(np.float32)


def _glottis(speaker: Speaker, pitch_hz: Float64, random: np.random.Generator) -> tuple[Float64, Float64]:
    """Air flow through the glottis, 0..1, and its slope per period, which is what the lips radiate.

    Source: A. E. Rosenberg, "Effect of glottal pulse shape on the quality of natural vowels", 1971, pulse C.
    """
    periods = np.cumsum(pitch_hz / RATE_HZ).astype(int)
    uneven = 1 + speaker.jitter * random.standard_normal(periods[-1] + 1)
    phase = np.cumsum(pitch_hz * uneven[periods] / RATE_HZ)
    at, rise, fall = phase % 1, speaker.open_share * 2 / 3, speaker.open_share / 3
    flow = np.where(at < rise, 0.5 - 0.5 * np.cos(np.pi * at / rise), np.cos(np.pi / 2 * (at - rise) / fall))
    flow[at > rise + fall] = 0
    flow *= 1 + speaker.shimmer * random.standard_normal(int(phase[-1]) + 1)[phase.astype(int)]
    slope = np.diff(flow, prepend=0) * RATE_HZ / pitch_hz
    return flow, np.asarray(lfilter([1 - speaker.tilt], [1, -speaker.tilt], slope))


def _resonators(formants_hz: Float64) -> Float64:
    """Second-order sections `[K, 6, 6]` of the vocal tract, gain 1 at 0 Hz. Source: Klatt 1980, equation 2."""
    c = np.broadcast_to(-np.exp(-2 * np.pi * np.array(_WIDTHS_HZ) / RATE_HZ), formants_hz.shape)
    b = 2 * np.sqrt(-c) * np.cos(2 * np.pi * formants_hz / RATE_HZ)
    zero, one = np.zeros_like(b), np.ones_like(b)
    return np.stack([1 - b - c, zero, zero, one, -b, -c], -1)


def _bands(middle_hz: Float64) -> Float64:
    """Sections `[K, 1, 6]` that let a band around `middle_hz`, half as wide, pass: gain 1 in it, 0 at 0 and 8 kHz."""
    r = np.exp(-np.pi * 0.5 * middle_hz / RATE_HZ)
    gain, zero, one = (1 - r**2) / 2, np.zeros_like(r), np.ones_like(r)
    return np.stack([gain, zero, -gain, one, -2 * r * np.cos(2 * np.pi * middle_hz / RATE_HZ), r**2], -1)


def _filtered(sound: Float64, sections: Float64) -> Float64:
    """Run `[K * 80]` samples through filters that change every 80, keeping their state."""
    state = np.zeros((sections.shape[1], 2))
    filtered = np.empty_like(sound)
    for index, section in enumerate(sections):
        block = slice(index * _STEP, (index + 1) * _STEP)
        filtered[block], state = sosfilt(section, sound[block], zi=state)
    return filtered
