"""Fit the network that checks spoken digits, on synthesised speech only.

    python -m benchmarks.training.fit_digits --out cameo/capture/weights/digits.safetensors
        [--voices 160] [--steps 1000] [--human FOLDER] [--speech FOLDER]

Needs the commands `espeak-ng` and `flite` (Debian packages of these names). A few CPU minutes. Voices kept out of the
fit and, where given, people (`FOLDER/<voice>/0.wav` to `9.wav`) and readings
without digits (`*.flac`) are only measured; the results are written beside the weights.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save

from benchmarks.training.digit_speech import DIGITS, Voice, Word, draw_voices, trimmed, words
from benchmarks.training.digit_trials import measured_trials, noted
from benchmarks.training.voice_conditions import degrade
from cameo.capture.digit_net import CLASSES, MELS, OTHER, RATE_HZ, DigitNet, mel_picture
from cameo.capture.digits import likelihood_ratios
from cameo.files import atomic_write
from cameo.synthetic.digits import say_digits
from cameo.synthetic.voice import speak

if TYPE_CHECKING:
    from torch import Tensor

    from cameo.records import Float32, Int64

SLOT_S = 2.3
COPIES = 3  # of each word, the first of them in good sound
OTHERS, BATCH, RATE = 6, 64, 4e-3
FORMANT_VOICES = 40  # seeds 0 to 39; tests and measurements take others
OTHER_SHARE = 0.12  # of a batch
EMPTY = 0.06  # slots without a word, per word
DATA = "English digits and other words synthesised by espeak-ng, flite and cameo.synthetic; no recording of people"
_FLOOR = -3.0  # of a mel picture


@dataclass(frozen=True, slots=True)
class Slots:
    """Hold N slots: mel pictures `[N, T, 40]` float16 and labels `[N]`."""

    pictures: Float32
    labels: Int64


def place(sound: Float32, random: np.random.Generator, worse: bool) -> Float32:
    """Put a word somewhere into a slot of a quiet room, `[2.3 s]`, disturbed when `worse`."""
    slot = np.zeros(int(SLOT_S * RATE_HZ), np.float32)
    sound = sound[: len(slot)]
    start = int(random.integers(0, len(slot) - len(sound) + 1))
    slot[start : start + len(sound)] = sound
    slot += np.float32(10 ** random.uniform(-4.5, -2.7)) * random.standard_normal(len(slot)).astype(np.float32)
    return degrade(slot, random) if worse else slot


def slots_of(spoken: Iterator[Word], copies: int, random: np.random.Generator) -> Slots:
    """Place each word `copies` times; beside them slots with noise or babble only."""
    pictures, labels = [], []
    for word in spoken:
        for copy in range(copies):
            pictures.append(mel_picture(place(word.sound, random, copy > 0)).astype(np.float16))
            labels.append(word.label)
        if random.uniform() < EMPTY * copies:
            noise = random.standard_normal(RATE_HZ).astype(np.float32) * 0.01
            nothing = speak(int(random.integers(10**6)), SLOT_S).sound if random.uniform() < 0.7 else noise
            pictures.append(mel_picture(place(nothing, random, True)).astype(np.float16))
            labels.append(OTHER)
    return Slots(np.stack(pictures), np.asarray(labels))


def formant_words(voices: int) -> Iterator[Word]:
    """The digits by the formant voices of the package, whose babble is among the empty slots."""
    for seed in range(voices):
        for label in range(len(DIGITS)):
            sound = trimmed(say_digits(seed, [label], [0.5], 2.0).sound, RATE_HZ)
            yield Word(sound, label, Voice("formant", str(seed), 1.0, 1.0))


def disturbed(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Vary mel pictures `[B, T, 40]`: tempo, vocal tract, place, colour, noise floor, gaps."""
    count, length, _ = pictures.shape

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=random) * (high - low) + low

    matrix = torch.zeros(count, 2, 3)  # x is frequency, y is time
    matrix[:, 0, 0], matrix[:, 0, 2] = uniform(0.86, 1.16), uniform(-0.08, 0.08)
    matrix[:, 1, 1], matrix[:, 1, 2] = uniform(0.8, 1.25), uniform(-0.2, 0.2)
    grid = F.affine_grid(matrix, [count, 1, length, MELS], align_corners=False)
    varied = F.grid_sample(pictures[:, None] - _FLOOR, grid, align_corners=False)[:, 0] + _FLOOR
    colour = F.interpolate(uniform(-0.5, 0.5, 1, 6), size=MELS, mode="linear", align_corners=True)
    varied = (varied + colour).clamp_min(_FLOOR)
    floor = uniform(_FLOOR, -1.2, 1, 1) + 0.15 * torch.randn(varied.shape, generator=random)
    varied = torch.maximum(varied, floor)
    at, wide = uniform(0, MELS, 1, 1), uniform(0, 7, 1, 1)
    band = (torch.arange(MELS) - at).abs() < wide / 2
    return torch.where(band, torch.full_like(varied, _FLOOR), varied)


def fit(slots: Slots, steps: int, seed: int) -> DigitNet:
    """Train with AdamW and one cycle of the learning rate."""
    torch.manual_seed(seed)
    random, net = torch.Generator().manual_seed(seed), DigitNet()
    labels = torch.from_numpy(slots.labels)
    counts = torch.bincount(labels, minlength=CLASSES).float()
    share = torch.full((CLASSES,), (1 - OTHER_SHARE) / OTHER)
    share[OTHER] = OTHER_SHARE
    weight = (share / counts)[labels]
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for step in range(steps):
        chosen = torch.multinomial(weight, BATCH, replacement=True, generator=random)
        pictures = disturbed(torch.from_numpy(slots.pictures[chosen.numpy()].astype(np.float32)), random)
        loss = F.cross_entropy(net(pictures), labels[chosen], label_smoothing=0.03)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            print(f"{step:5d} {loss.item():.3f} {time.process_time():.0f} s", flush=True)
    return net.eval()


def held_out_slots(seed: int) -> dict[str, Slots]:
    """Voices that the fit never heard: espeak's variants, flite's slt; each in good sound and disturbed."""
    random = np.random.default_rng((seed, 9))
    spoken = list(words(draw_voices(40, seed, True), 4, seed))
    return {
        engine: slots_of((word for word in spoken if word.voice.engine == engine), 2, random)
        for engine in ("espeak", "flite")
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Synthesise, fit, measure on voices kept out, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--voices", type=int, default=160)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--human", type=Path)
    parser.add_argument("--speech", type=Path)
    args = parser.parse_args(argv)
    random = np.random.default_rng(args.seed)
    spoken = words(draw_voices(args.voices, args.seed, False), OTHERS, args.seed)
    slots = slots_of(itertools.chain(formant_words(FORMANT_VOICES), spoken), COPIES, random)
    print(len(slots.labels), "slots", np.bincount(slots.labels), flush=True)
    net = fit(slots, args.steps, args.seed)
    data = save({name: tensor.half().contiguous() for name, tensor in net.state_dict().items()})
    atomic_write(args.out, data)
    net.load_state_dict({name: tensor.half().float() for name, tensor in net.state_dict().items()})
    seconds = time.process_time()
    scored = {
        name: (likelihood_ratios(net, kept.pictures.astype(np.float32)), kept.labels)
        for name, kept in held_out_slots(args.seed).items()
    }
    trials = measured_trials(net, scored, args.human, args.speech)
    facts = {
        "id": "embedded-digits-1",
        "sha256": hashlib.sha256(data).hexdigest(),
        "threshold": {"value": trials.threshold, "source": trials.threshold_source},
        "fit": {"data": DATA,
                "voices": args.voices, "slots": len(slots.labels), "steps": args.steps, "seed": args.seed,
                "cpu_seconds": round(seconds)},
        "held_out": noted(trials),
    }  # fmt: skip
    atomic_write(args.out.with_suffix(".json"), (json.dumps(facts, indent=1) + "\n").encode())
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
