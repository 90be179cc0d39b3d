"""Whether a line that a double says is nearer to its owner than to who spoke it, and still understood.

    python -m benchmarks.voice_conversion SPEECH_FOLDER [--owners 16] [--sources 5] [--out JSON] [--plot PNG]

SPEECH_FOLDER holds one folder of `*.flac` per reader, such as an excerpt of LibriSpeech (CC BY 4.0). Only every fifth
reader is used, as owner or as source: the embedded encoder was not fitted on them, and the conversion not chosen on
them. An owner's voice is learned from the first half of their speech; the second half is what everything is held
against. A line is five seconds of a source.

Two encoders judge, neither of which the conversion has seen: the embedded one, and GE2E's if the package resemblyzer is
there (its wheel carries the weights). Words are counted if pocketsphinx is there (so does its wheel): those it hears in
a line both before and after, and those of known sentences that espeak-ng says, if that command is there.
"""

from __future__ import annotations

import argparse
import difflib
import io
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
from scipy.signal import resample_poly

from benchmarks.results import write_result
from benchmarks.speakers import RATE_HZ, held_out, read_speakers
from cameo.capture.speech import find_speech
from cameo.embed.voice import load_voice_encoder
from cameo.generators.vocoder import put_together, take_apart
from cameo.generators.voice_conversion import VoiceAdapter, convert_voice, learn_voice

if TYPE_CHECKING:
    from cameo.generators.vocoder import VocoderFrames
    from cameo.records import Float32, Float64

LEAST_S = 10.0  # of an owner's speech
LINE_S = 5.0
# To dB; WORLD codes the logarithm of power. Source: R. Kubichek, "Mel-cepstral distance measure", 1993.
DISTORTION = 10 * np.sqrt(2) / np.log(10) / 2
DISTORTED_BY = 24  # cepstra that count, as is usual at 16 kHz; the level does not
SENTENCES = (
    "the morning train was late because of the heavy snow",
    "please bring two cups of coffee and some bread",
    "my brother lives in a small house near the river",
    "nobody knew why the old man had left the city",
    "we will meet again on the first day of summer",
    "the doctor asked her to wait in the other room",
)
Embed = Callable[["Float32"], "Float32"]


@dataclass(frozen=True)
class Owner:
    """Hold an owner: adapter, and their direction by each encoder from speech it was not learned from."""

    number: int
    voice: VoiceAdapter
    known: dict[str, Float32]
    own: dict[str, float]


@dataclass(frozen=True)
class Trial:
    """Measure one line in one owner's voice: cosines to the owner and to the source by each encoder, and the words."""

    owner: int
    source: int
    before: dict[str, float]
    after: dict[str, float]
    to_source: dict[str, float]
    distortion_db: float
    words: float | None


def encoders() -> dict[str, Embed]:
    """Load the judges that are there."""
    found: dict[str, Embed] = {"embedded": load_voice_encoder().embed}
    try:
        import resemblyzer
    except ImportError:
        print("resemblyzer is not installed: one encoder judges", file=sys.stderr)
    else:
        found["resemblyzer"] = resemblyzer.VoiceEncoder("cpu", verbose=False).embed_utterance
    return found


@cache
def recogniser() -> Any:
    """Load pocketsphinx with its English model; None if it is not there."""
    try:
        import pocketsphinx
    except ImportError:
        print("pocketsphinx is not installed: words are not counted", file=sys.stderr)
        return None
    return pocketsphinx.Decoder(samprate=RATE_HZ, loglevel="FATAL")


def words_in(sound: Float32) -> list[str] | None:
    """Recognise words; None without a recogniser."""
    decoder = recogniser()
    if decoder is None:
        return None
    decoder.start_utt()
    decoder.process_raw((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return heard.hypstr.split() if heard else []


def share_kept(told: list[str], heard: list[str]) -> float:
    """Share of the words told that are heard, in order."""
    matched = difflib.SequenceMatcher(None, told, heard, autojunk=False).get_matching_blocks()
    return sum(block.size for block in matched) / max(len(told), 1)


def distortion_db(one: VocoderFrames, other: VocoderFrames) -> float:
    """Mel-cepstral distortion where both speak, each with its own mean taken out: what is said, not who says it."""
    count = min(len(one.cepstra), len(other.cepstra))
    both = one.loud[:count] & other.loud[:count]
    levelled: list[Float64] = []
    for frames in (one, other):
        cepstra = frames.cepstra[:count][both, 1 : DISTORTED_BY + 1]
        levelled.append(cepstra - cepstra.mean(0))
    return float(DISTORTION * np.sqrt(np.square(levelled[0] - levelled[1]).sum(1)).mean())


def meet(number: int, reading: Float32, judges: dict[str, Embed]) -> Owner:
    """Learn a voice from one half of a reading; the other half is what it is held against."""
    speech = find_speech(reading).samples
    first, second = speech[: len(speech) // 2], speech[len(speech) // 2 :]
    known = {name: embed(second) for name, embed in judges.items()}
    own = {name: float(known[name] @ embed(first)) for name, embed in judges.items()}
    return Owner(number, learn_voice(first), known, own)


def measure(owners: list[Owner], lines: dict[int, Float32], judges: dict[str, Embed]) -> list[Trial]:
    """Let every owner say every line."""
    sources = {number: {name: embed(line) for name, embed in judges.items()} for number, line in lines.items()}
    told = {number: words_in(line) for number, line in lines.items()}
    apart = {number: take_apart(line) for number, line in lines.items()}
    trials = []
    for owner in owners:
        for number, line in lines.items():
            made = convert_voice(owner.voice, line)
            after = {name: embed(made) for name, embed in judges.items()}
            spoken = told[number]
            heard = words_in(made) if spoken is not None else None
            trials.append(
                Trial(
                    owner.number,
                    number,
                    {name: float(owner.known[name] @ sources[number][name]) for name in judges},
                    {name: float(owner.known[name] @ after[name]) for name in judges},
                    {name: float(sources[number][name] @ after[name]) for name in judges},
                    distortion_db(apart[number], take_apart(made)),
                    share_kept(spoken, heard) if spoken is not None and heard is not None else None,
                )
            )
        print(f"owner {owner.number}: {len(trials)} lines", file=sys.stderr, flush=True)
    return trials


def controls(lines: dict[int, Float32]) -> dict[str, float]:
    """Distortion by the vocoder alone, and between different lines: the least and the most there can be."""
    numbers = list(lines)
    apart = {number: take_apart(line) for number, line in lines.items()}
    again = [put_together(apart[number], len(line)) for number, line in lines.items()]
    resynthesised = [distortion_db(one, take_apart(made)) for one, made in zip(apart.values(), again, strict=True)]
    other = [distortion_db(apart[a], apart[b]) for a, b in zip(numbers, numbers[1:] + numbers[:1], strict=True)]
    result = {"vocoder_db": float(np.mean(resynthesised)), "other_line_db": float(np.mean(other))}
    heard = [(words_in(line), words_in(made)) for line, made in zip(lines.values(), again, strict=True)]
    kept = [share_kept(one, two) for one, two in heard if one is not None and two is not None]
    if kept:
        result["vocoder_words"] = float(np.mean(kept))
    return result


def known_sentences(owners: list[Owner]) -> dict[str, float] | None:
    """Share of the words of known sentences that are recognised: as espeak-ng says them, and in owners' voices."""
    if recogniser() is None or shutil.which("espeak-ng") is None:
        return None
    before, after = [], []
    for k, sentence in enumerate(SENTENCES):
        line = espeak(sentence)
        before.append(share_kept(sentence.split(), words_in(line) or []))
        made = convert_voice(owners[k % len(owners)].voice, line)
        after.append(share_kept(sentence.split(), words_in(made) or []))
    return {"before": float(np.mean(before)), "after": float(np.mean(after))}


def espeak(sentence: str) -> Float32:
    """Let espeak-ng say a sentence, `[N]` mono at 16 kHz."""
    command = ["espeak-ng", "-v", "en-us", "-s", "140", "--stdout", sentence]
    done = subprocess.run(command, capture_output=True, check=True)
    sound, rate_hz = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    return np.asarray(resample_poly(sound, RATE_HZ, rate_hz), np.float32)


def summarise(trials: list[Trial], owners: list[Owner]) -> dict[str, Any]:
    """Mean cosines per encoder, and how many owners and lines came nearer."""
    summary: dict[str, Any] = {}
    for name in trials[0].before:
        before, after = (np.array([getattr(t, side)[name] for t in trials]) for side in ("before", "after"))
        gains = [np.mean([t.after[name] - t.before[name] for t in trials if t.owner == o.number]) for o in owners]
        summary[name] = {
            "before": float(before.mean()),
            "after": float(after.mean()),
            "to_source": float(np.mean([t.to_source[name] for t in trials])),
            "own": float(np.mean([o.own[name] for o in owners])),
            "lines_nearer": int((after > before).sum()),
            "owners_nearer": int(sum(gain > 0 for gain in gains)),
            "least_gain": float(min(gains)),
            "nearer_to_owner_than_source": int(sum(t.after[name] > t.to_source[name] for t in trials)),
        }
    return summary


def table(summary: dict[str, Any], lines: int, owners: int) -> list[str]:
    """Write the table of `docs/benchmarks.md`."""
    rows = [
        "| encoder | line to owner | converted to owner | converted to its speaker | owner to themselves "
        "| nearer, lines | nearer, owners | least gain of an owner |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, s in summary.items():
        rows.append(
            f"| {name} | {s['before']:.2f} | {s['after']:.2f} | {s['to_source']:.2f} | {s['own']:.2f} "
            f"| {s['lines_nearer']} of {lines} | {s['owners_nearer']} of {owners} | {s['least_gain']:+.2f} |"
        )
    return rows


def draw(trials: list[Trial], file: Path) -> None:
    """Plot every line: before against after, a panel per encoder."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = list(trials[0].before)
    figure, panels = plt.subplots(1, len(names), figsize=(5 * len(names), 5), layout="constrained", squeeze=False)
    for axes, name in zip(panels[0], names, strict=True):
        before, after = ([getattr(t, side)[name] for t in trials] for side in ("before", "after"))
        axes.scatter(before, after, s=14, alpha=0.7)
        low, high = min(before + after), 1.0
        axes.plot([low, high], [low, high], color="grey", linestyle=":")
        axes.set(
            xlabel="the line to the owner", ylabel="the converted line to the owner", title=f"{name} encoder, cosine"
        )
    figure.savefig(file, dpi=100)
    plt.close(figure)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--owners", type=int, default=16)
    parser.add_argument("--sources", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    judges, readers = encoders(), dict(enumerate(held_out(read_speakers(options.speech))))
    enough = (k for k, reading in readers.items() if find_speech(reading).seconds >= LEAST_S)
    chosen = list(itertools.islice(enough, options.owners))
    owners = [meet(k, readers[k], judges) for k in chosen]
    rest = [k for k in reversed(readers) if k not in chosen and len(readers[k]) >= LINE_S * RATE_HZ]
    lines = {k: readers[k][: round(LINE_S * RATE_HZ)] for k in rest[: options.sources]}
    if not owners or len(lines) < 2:
        raise SystemExit("too few readers: an owner needs 10 s of speech, and two others have to say something")
    trials = measure(owners, lines, judges)
    summary, limits, sentences = summarise(trials, owners), controls(lines), known_sentences(owners)
    words = [t.words for t in trials if t.words is not None]
    heard: dict[str, Any] = {
        "distortion_db": float(np.mean([t.distortion_db for t in trials])),
        "words_kept": float(np.mean(words)) if words else None,
        **limits,
        "sentences": sentences,
    }
    print("\n".join(table(summary, len(trials), len(owners))))
    print(json.dumps(heard, indent=1))
    if options.out:
        result = {"summary": summary, "heard": heard, "trials": [asdict(t) for t in trials]}
        write_result(options.out, result, {"owners": len(owners), "lines": len(trials)})
    if options.plot:
        draw(trials, options.plot)


if __name__ == "__main__":
    main()
