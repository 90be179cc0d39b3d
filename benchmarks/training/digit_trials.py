"""Measure how well six spoken digits are told from another string: per engine, in equal-error rates."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.error_rates import Pairs, rates
from cameo.capture.clip import read_voice
from cameo.capture.digit_net import OTHER, RATE_HZ, DigitNet, mel_picture
from cameo.capture.digits import likelihood_ratios
from cameo.synthetic.digits import say_digits

if TYPE_CHECKING:
    from cameo.records import Float32, Float64, Int64

LENGTH, ROUNDS = 6, 4000
SLOT_S = 2.3
FALSE_ACCEPT = 1e-3
FORMANT_VOICES = 20

Scored = tuple["Float64", "Int64"]


@dataclass(frozen=True, slots=True)
class Trials:
    """Hold what was measured.

    `engines` maps a name to rates: `right`, share of digits named right; `eer`, six digits against another string;
    `eer_one_wrong`, against a string with one digit wrong; `refused`, share of right strings under the threshold;
    `accepted`, share of other strings above it. `strangers` maps a name to the share of strings of slots without
    English digits that are accepted.
    """

    threshold: float
    threshold_source: str
    engines: dict[str, dict[str, float]]
    strangers: dict[str, float]


def noted(trials: Trials) -> dict[str, Any]:
    """Facts for the file beside the weights."""
    facts = asdict(trials)
    return {"engines": facts["engines"], "strangers_accepted": facts["strangers"]}


def strings(scored: Scored, kind: str, random: np.random.Generator) -> Float64:
    """Mean ratios of `ROUNDS` strings of six slots: `kind` "right", "other" or "one wrong"."""
    ratios, labels = scored
    usable = np.flatnonzero(labels != OTHER)
    chosen = random.choice(usable, (ROUNDS, LENGTH))
    asked = labels[chosen].copy()
    if kind == "other":
        asked = random.integers(0, 10, asked.shape)
    elif kind == "one wrong":
        place = random.integers(LENGTH, size=ROUNDS)
        row = np.arange(ROUNDS)
        asked[row, place] = (asked[row, place] + random.integers(1, 10, ROUNDS)) % 10
    return np.asarray(ratios[chosen, asked].mean(1))


def equal_error(right: Float64, wrong: Float64) -> float:
    """Equal-error rate of two sets of scores."""
    score = np.concatenate([right, wrong]).astype(np.float32)
    same = np.arange(len(score)) < len(right)
    number = np.arange(len(score))
    return rates(Pairs(score, same, number, number)).eer


def _score(net: DigitNet, sounds: list[Float32]) -> Float64:
    return np.concatenate([likelihood_ratios(net, mel_picture(sound)[None]) for sound in sounds])


def formant_voices(net: DigitNet) -> Scored:
    """Formant voices of other seeds than the fit's."""
    sounds, labels = [], []
    for seed in range(1000, 1000 + FORMANT_VOICES):
        for digit in range(10):
            sounds.append(say_digits(seed, [digit], [0.6], SLOT_S).sound)
            labels.append(digit)
    return _score(net, sounds), np.asarray(labels)


def people(net: DigitNet, folder: Path) -> dict[str, Scored]:
    """People who said the digits: `FOLDER/<voice>/<digit>.wav`; a voice that begins with `other-` speaks otherwise."""
    found = {}
    for voice in sorted(path for path in folder.iterdir() if path.is_dir()):
        sounds, labels = [], []
        for digit in range(10):
            for path in sorted(voice.glob(f"{digit}*.wav")):
                sound = read_voice(path)
                for lead_s in (0.3, 0.7, 1.1):
                    slot = 1e-4 * np.random.default_rng(digit).standard_normal(int(SLOT_S * RATE_HZ))
                    start = int(lead_s * RATE_HZ)
                    slot[start : start + len(sound)] += sound[: len(slot) - start]
                    sounds.append(slot.astype(np.float32))
                    labels.append(digit)
        found[voice.name] = (_score(net, sounds), np.asarray(labels))
    return found


def readings(net: DigitNet, folder: Path) -> Float64:
    """Slots cut from readings: whatever they say, it is not the string that was asked for."""
    length, sounds = int(SLOT_S * RATE_HZ), []
    for path in sorted(folder.rglob("*.flac"))[::3]:
        sound = read_voice(path)
        sounds += [sound[at : at + length] for at in range(0, len(sound) - length, length)]
    return _score(net, sounds)


def measured_trials(net: DigitNet, scored: dict[str, Scored], human: Path | None, speech: Path | None) -> Trials:
    """Set the threshold on the voices kept out of the fit, and measure everything against it."""
    random = np.random.default_rng(5)
    others = np.concatenate([strings(value, "other", random) for value in scored.values()])
    threshold = float(np.quantile(others, 1 - FALSE_ACCEPT))
    threshold = round(max(threshold, 0.0), 2)
    spoken = {f"{name}, kept out": value for name, value in scored.items()}
    spoken["cameo.synthetic, kept out"] = formant_voices(net)
    heard = people(net, human) if human else {}
    spoken |= {f"person {name}": value for name, value in heard.items() if not name.startswith("other-")}
    engines = {}
    for name, value in spoken.items():
        kept = value[1] != OTHER
        right, other = strings(value, "right", random), strings(value, "other", random)
        engines[name] = {
            "slots": int(kept.sum()),
            "right": float((value[0][kept][:, :10].argmax(1) == value[1][kept]).mean()),
            "eer": equal_error(right, other),
            "eer_one_wrong": equal_error(right, strings(value, "one wrong", random)),
            "refused": float((right < threshold).mean()),
            "accepted": float((other >= threshold).mean()),
        }
    strangers = {}
    for name, ratios in [(n, v[0]) for n, v in heard.items() if n.startswith("other-")] + (
        [("readings", readings(net, speech))] if speech else []
    ):
        chosen = random.integers(0, len(ratios), (ROUNDS, LENGTH))
        asked = random.integers(0, 10, chosen.shape)
        strangers[name] = float((ratios[chosen, asked].mean(1) >= threshold).mean())
    for name, value in heard.items():
        if name.startswith("other-"):  # the same digits, in another language
            strangers[f"{name}, the same digits"] = float((strings(value, "right", random) >= threshold).mean())
    source = (
        f"benchmarks/training/fit_digits.py: of {2 * ROUNDS} other strings by voices kept out of the fit, "
        f"{FALSE_ACCEPT:.1%} reach it"
    )
    return Trials(threshold, source, engines, strangers)
