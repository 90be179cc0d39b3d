"""Error rates of the liveness check after ISO/IEC 30107-3: APCER for each attack, BPCER on people made by code.

    python -m benchmarks.liveness [--people 8] [--folder DIR] [--attacks NAME ...] [--out FILE.json]

Needs the commands `espeak-ng` and `flite`. The people are rendered and their voices synthesised: the rates say what the
check does with clear presentations, not how real people fare with it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import beta

from benchmarks.answers import NOW, Answer, bona_fide
from benchmarks.presentations import ATTACKS, BONA_FIDE, Presentation
from benchmarks.results import write_result
from benchmarks.training.digit_speech import Voice, say
from cameo.capture.liveness import judge_liveness, spoken_answer, weigh_voice
from cameo.capture.pose_answer import watch_turns
from cameo.capture.speech import find_speech
from cameo.embed.voice import VoiceEncoder, load_voice_encoder
from cameo.records import Verdict

CONFIDENCE = 0.95
READING = "Good morning. I am recording this myself, and I agree that my friends may use my double for a birthday."
LEAST_VOICE_SAMPLES = 16_000


@dataclass(frozen=True, slots=True)
class Row:
    """Hold what became of one kind of presentation.

    `live` of `trials` were accepted; `people` is how many stand behind them; `rate` is the error (BPCER for bona fide,
    else APCER) and `bound` the rate that so many trials do not exclude, one-sided at 95 %, if they were independent;
    `against` counts, per piece of evidence, in how many trials it spoke against a living person.
    """

    name: str
    trials: int
    people: int
    live: int
    rate: float
    bound: float
    against: dict[str, int]


def upper_bound(errors: int, trials: int) -> float:
    """Clopper and Pearson's one-sided bound; with no errors about three in `trials`. Source: their paper of 1934."""
    return 1.0 if errors >= trials else float(beta.ppf(CONFIDENCE, errors + 1, trials - errors))


def judged(presentations: Iterator[Presentation], encoder: VoiceEncoder) -> list[Verdict]:
    """Judge each as an enrolment would, the voice held against another text by the owner."""
    owners: dict[Voice, np.ndarray] = {}
    verdicts = []
    for shown in presentations:
        speech = find_speech(shown.clip.sound)
        more = []
        begins_s = watch_turns(shown.track, shown.clip.times_s, shown.challenge).begins_s
        samples = spoken_answer(shown.clip, speech, shown.challenge, begins_s)
        if len(samples) >= LEAST_VOICE_SAMPLES:
            if shown.voice not in owners:
                owners[shown.voice] = encoder.embed(say(shown.voice, READING))
            more = [weigh_voice(float(encoder.embed(samples) @ owners[shown.voice]), encoder.info.threshold)]
        verdicts.append(judge_liveness(shown.clip, shown.track, speech, shown.challenge, NOW, more))
    return verdicts


def summed(name: str, verdicts: Sequence[Verdict], people: int, attack: bool) -> Row:
    """Count."""
    live = sum(verdict.live for verdict in verdicts)
    errors = live if attack else len(verdicts) - live
    against: dict[str, int] = {}
    for verdict in verdicts:
        for piece in verdict.warnings:
            against[piece.name] = against.get(piece.name, 0) + 1
    return Row(name, len(verdicts), people, live, errors / len(verdicts), upper_bound(errors, len(verdicts)), against)


def main(argv: Sequence[str] | None = None) -> None:
    """Make the people, present them and their attackers, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="keeps what was rendered, for the next run")
    parser.add_argument("--attacks", nargs="*", choices=list(ATTACKS), default=list(ATTACKS))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        answers = bona_fide(args.folder or Path(temporary), args.people)
        rows = measured(answers, args.attacks)
    if args.out:
        write_result(args.out, {"rows": [asdict(row) for row in rows]}, {"people": args.people})


def measured(answers: list[Answer], attacks: Sequence[str]) -> list[Row]:
    """Measure bona fide presentations and attacks, printing each as it is done."""
    encoder = load_voice_encoder()
    rows = []
    print(f"{'presentation':<32} {'n':>4} {'live':>5} {'error':>6} {'bound':>6}  evidence against, in so many")
    for name in (*BONA_FIDE, *attacks):
        make = (BONA_FIDE | ATTACKS)[name]
        row = summed(name, judged(make(answers), encoder), len(answers), name in ATTACKS)
        rows.append(row)
        signs = ", ".join(f"{piece} {count}" for piece, count in row.against.items())
        print(f"{name:<32} {row.trials:>4} {row.live:>5} {row.rate:>6.0%} {row.bound:>6.0%}  {signs}", flush=True)
    return rows


if __name__ == "__main__":
    main()
