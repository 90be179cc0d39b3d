"""How well the quality gate estimates the noise under speech, and what its limits refuse.

    python -m benchmarks.noise_estimate SPEECH_FOLDER [--readings 60] [--out FILE.json]

Reads clean readings (`*.flac`), adds noise at known levels, and prints what the estimate makes of it: over the whole
recording, and over the speech that the voice activity detector keeps, which is what a voice template is made of.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.results import write_result
from cameo.capture.clip import read_voice
from cameo.capture.sound_limits import NOISE
from cameo.capture.speech import find_speech
from cameo.capture.speech_checks import speech_over_noise_db

if TYPE_CHECKING:
    from cameo.records import Float32

RATE_HZ = 16_000
LEVELS_DB = (-5, 0, 5, 10, 15, 20)
BABBLE_VOICES = 6

Noise = Callable[[int, np.random.Generator, "list[Float32]"], "Float32"]


def white(length: int, random: np.random.Generator, _readings: list[Float32]) -> Float32:
    """Hiss."""
    return random.standard_normal(length).astype(np.float32)


def low(length: int, random: np.random.Generator, _readings: list[Float32]) -> Float32:
    """Rumble: 6 dB less per octave above 400 Hz, as fans and traffic have it."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    at_hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    return np.fft.irfft(spectrum / (1 + at_hz / 400), length).astype(np.float32)


def babble(length: int, random: np.random.Generator, readings: list[Float32]) -> Float32:
    """Six other people talking."""
    voices = [readings[i] for i in random.choice(len(readings), BABBLE_VOICES, replace=False)]
    return np.sum([np.resize(v, length) / (np.std(v) + 1e-9) for v in voices], 0).astype(np.float32)


def music(length: int, random: np.random.Generator, _readings: list[Float32]) -> Float32:
    """Chords of decaying harmonics, two a second."""
    time = np.arange(length) / RATE_HZ
    sound = np.zeros(length)
    for start in np.arange(0, length / RATE_HZ, 0.5):
        root = 110 * 2 ** (random.integers(0, 12) / 12)
        since = np.clip(time - start, 0, None)
        envelope = np.exp(-since * 2.5) * (time >= start)
        for ratio in (1, 1.25, 1.5, 2):
            for harmonic in range(1, 6):
                sound += envelope * np.sin(2 * np.pi * root * ratio * harmonic * since) / harmonic
    return sound.astype(np.float32)


NOISES: dict[str, Noise] = {"white": white, "low": low, "babble": babble, "music": music}


def add_noise(reading: Float32, noise: Float32, level_db: float) -> Float32:
    """Add noise `level_db` under the reading's speech (its frames within 30 dB of the loudest)."""
    frames = reading[: len(reading) // 400 * 400].reshape(-1, 400).astype(np.float64)
    power = (frames**2).mean(1)
    speech = power[power > np.percentile(power, 95) * 1e-3].mean()
    scale = np.sqrt(speech / 10 ** (level_db / 10) / np.mean(noise.astype(np.float64) ** 2))
    mixed = reading + np.float32(scale) * noise
    return (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)


def estimates(sound: Float32) -> tuple[float, float, float]:
    """Estimate over all, estimate over the speech, seconds of speech."""
    speech = find_speech(sound)
    kept = speech_over_noise_db(speech.samples) if speech.seconds >= 1 else np.nan
    return speech_over_noise_db(sound), kept, speech.seconds


def main() -> None:
    """Print one row per kind and level of noise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--readings", type=int, default=60)
    parser.add_argument("--out", type=Path, help="write everything as JSON")
    args = parser.parse_args()
    paths = sorted(args.speech.rglob("*.flac"))[: args.readings]
    readings = [read_voice(path)[: 10 * RATE_HZ] for path in paths]
    rows: list[tuple[str, float, list[tuple[float, float, float]]]] = [
        ("clean", np.inf, [estimates(r) for r in readings])
    ]
    for name, make in NOISES.items():
        for level_db in LEVELS_DB:
            random = np.random.default_rng(level_db + 100)
            mixed = [add_noise(r, make(len(r), random, readings), level_db) for r in readings]
            rows.append((name, level_db, [estimates(sound) for sound in mixed]))
    fail = NOISE.fail if NOISE.fail is not None else -np.inf
    print(f"{len(readings)} readings; estimate: 5th, 50th, 95th percentile in dB; refused: below {fail:g} dB")
    print(f"{'noise':>7} {'level':>6}  {'over all':>18} {'refused':>8}  {'over speech':>18} {'refused':>8}  speech s")
    for name, at_db, found in rows:
        values = np.array(found)
        cells = []
        for column in values.T[:2]:
            known = column[~np.isnan(column)]
            spread = np.percentile(known, [5, 50, 95]) if len(known) else np.full(3, np.nan)
            cells.append("{:6.1f}{:6.1f}{:6.1f}".format(*spread) + f" {np.mean(column < fail):9.0%}")
        print(f"{name:>7} {at_db:>6}  {cells[0]}  {cells[1]}  {np.median(values[:, 2]):8.1f}")
    if args.out:
        refused = {
            f"{name} {at_db:g} dB": [float(np.mean(np.array(found)[:, k] < fail)) for k in (0, 1)]
            for name, at_db, found in rows
        }
        write_result(args.out, {"refused": refused}, {"readings": len(readings)})


if __name__ == "__main__":
    main()
