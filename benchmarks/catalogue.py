"""The benchmarks that `benchmarks.run` knows: how each is called, what it needs, and what is claimed of it.

A new one is an entry of `BENCHMARKS`: a module that takes `--out FILE.json` (or a folder, see `written`), its words in
the quick and in the full mode, and its claims. Claims are ratios, and their limits lie well beyond what other work on a
machine does to them.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.claims import AT_LEAST, AT_MOST, Claim, Read, at, over
from benchmarks.machine import gpus

CLIPS = (".mp4", ".mov", ".webm")
_NOTHING: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Inputs:
    """Name what a run was given: folders of clips, of readings (a folder a speaker), and an InsightFace pack."""

    clips: Path | None = None
    pack: Path | None = None
    speech: Path | None = None

    def given(self, name: str) -> bool:
        """Say whether there is one of this name."""
        return getattr(self, name) is not None


INPUTS = tuple(one.name for one in fields(Inputs))


def lacks(need: str, inputs: Inputs) -> str:
    """Say why a need is not met here; "" when it is.

    Args:
        need: one of `INPUTS`, `gpu`, `command:NAME` or `package:NAME`.
        inputs: what was given.
    """
    kind, _, name = need.partition(":")
    if kind == "command" and shutil.which(name) is None:
        return f"the command {name} is not there"
    if kind == "package" and importlib.util.find_spec(name) is None:
        return f"the package {name} is not installed: pip install -e '.[peers]'"
    if kind == "gpu" and not gpus():
        return "no NVIDIA card is there"
    return f"it needs --{kind} FOLDER" if kind in INPUTS and not inputs.given(kind) else ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Say how one benchmark is called.

    Attributes:
        name: of its results, `results/<name>.json`.
        module: what runs.
        full: its words.
        quick: its words in the quick mode; None to leave it out there.
        takes: words that are added where a need is met (see `lacks`); `{clips}`, `{pack}` and `{speech}` are the
            folders that were given, and `{clips/*}` is one word for each clip.
        needs: what it cannot do without.
        written: name of the JSON in the folder that `--out` means to it; "" where `--out` is the file.
        seeded: whether it takes `--seed`, another one for every round.
        claims: what is said of what it finds.
    """

    name: str
    module: str
    full: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = None
    takes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOTHING)
    needs: tuple[str, ...] = ()
    written: str = ""
    seeded: bool = False
    claims: tuple[Claim, ...] = ()

    def words(self, inputs: Inputs, quick: bool, seed: int) -> list[str]:
        """What stands behind the module on the command line, but for `--out`."""
        said = list((self.quick or ()) if quick else self.full)
        for need, more in self.takes.items():
            if not quick and not lacks(need, inputs):
                said += [word for one in more for word in _filled(one, inputs)]
        return [*said, "--seed", str(seed)] if self.seeded else said

    def judged(self, inputs: Inputs, quick: bool) -> list[Claim]:
        """List the claims that such a run can bear out."""
        return [claim for claim in self.claims if (claim.quick or not quick) and not lacks(claim.needs, inputs)]


def _filled(word: str, inputs: Inputs) -> list[str]:
    if word == "{clips/*}" and inputs.clips is not None:
        return [str(path) for path in sorted(inputs.clips.iterdir()) if path.suffix.lower() in CLIPS]
    return [word.format(clips=inputs.clips, pack=inputs.pack, speech=inputs.speech)]


_CHECKS = "check_us"
_SCORER = ("--face-model", "insightface:{pack}")


def _rate(ours: str, theirs: str) -> Read:
    """How many checks of ours are done in the time of one of theirs."""
    return over((_CHECKS, theirs), (_CHECKS, ours))


def _slopes(series: str, curve: str = "time") -> Read:
    return at("series", series, "exponents", curve)


def _front(clock: str) -> Read:
    return over(("by hand", clock), ("cameo", clock))


def _gain(row: str) -> Read:
    return at("claims", row, "value")


def _areas(found: Any, kind: str) -> dict[str, float]:
    """AUC of every model of a kind on its first set."""
    models = [one for one in found["models"] if one["encoder"]["modality"] == kind]
    return {one["model"]: one["sets"][0]["auc"]["value"] for one in models}


def _area(kind: str) -> Read:
    return lambda found: [_areas(found, kind)["embedded"]]


def _area_over_resemblyzer(found: Any) -> list[float]:
    areas = _areas(found, "voice")
    return [areas["embedded"] / areas["resemblyzer"]]


def _worst_area(found: Any) -> list[float]:
    return [min(row["result"]["rates"]["auc"] for one in found["encoders"] for row in one["rows"])]


def _fired(found: Any) -> list[float]:
    rows = found["checks"].values()
    return [sum(row["fired"] for row in rows) / sum(row["tried"] for row in rows)]


def _nearer(found: Any) -> list[float]:
    rows = [row for row in found["results"] if row["row"] == "regions"]
    return [sum(row["own"] > row["other"] for row in rows) / len(rows)]


def _lines_nearer(found: Any) -> list[float]:
    return [min(one["lines_nearer"] for one in found["summary"].values()) / found["samples"]["lines"]]


def _as_alike(found: Any) -> list[float]:
    return [found["cameo"]["auc"] / found["by hand"]["auc"]]


TRUST = Benchmark(
    "trust",
    "benchmarks.trust",
    full=("--rounds", "9"),
    quick=("--rounds", "3"),
    claims=(
        Claim("a grant seen before: checks over PyJWT, as long", _rate("seen before", "PyJWT, as long"), AT_LEAST, 0.5),
        Claim("a grant seen before: checks over Biscuit, held", _rate("seen before", "Biscuit, held"), AT_LEAST, 0.9),
        Claim("a new grant: checks over PyJWT, as long", _rate("new", "PyJWT, as long"), AT_LEAST, 0.3),
        Claim("a new grant: checks over Biscuit, held", _rate("new", "Biscuit, held"), AT_LEAST, 0.4),
        Claim("`verify`, over the bare import", at("starts", "verify", "ratio"), AT_MOST, 8),
        Claim("`--help`, over the bare import", at("starts", "--help", "ratio"), AT_MOST, 3),
    ),
)
SIGNING = Benchmark(
    "signing",
    "benchmarks.signing",
    full=("--megabytes", "100", "--turns", "5"),
    quick=("--megabytes", "16", "--turns", "3"),
    needs=("package:model_signing",),
    claims=(
        Claim("sealing, over model-signing's signing", over(("cameo", "seal"), ("model-signing", "sign")), AT_MOST, 30),
        Claim("verifying, over model-signing's", over(("cameo", "verify"), ("model-signing", "verify")), AT_MOST, 10),
    ),
)
PROMPTS = Benchmark(
    "prompt_guard",
    "benchmarks.prompt_guard",
    quick=(),
    claims=(
        Claim("ordinary prompts that pass", at("right", "ordinary"), AT_LEAST, 0.95),
        Claim("disguised prompts that are refused", at("right", "disguised, all"), AT_LEAST, 0.95),
    ),
)
TUNE_STEP = Benchmark(
    "tune_step",
    "benchmarks.tune_step",
    full=("--size", "small", "--device", "cpu", "--rounds", "3"),
    quick=("--size", "small", "--device", "cpu", "--rounds", "1", "--steps", "4", "--no-peak"),
    claims=(
        Claim("times as fast as the plain loop (small Wan, CPU)", at("times_faster"), AT_LEAST, 1.5),
        Claim(
            "memory, over the plain loop's (small Wan, CPU)",
            over(("peak_bytes", "cameo"), ("peak_bytes", "plain loop")),
            AT_MOST,
            1.3,
            quick=False,
        ),
    ),
)
TUNE_STEP_GPU = Benchmark(
    "tune_step_gpu",
    "benchmarks.tune_step",
    full=("--size", "mid", "--device", "cuda", "--rounds", "3"),
    needs=("gpu",),
    claims=(
        Claim("times as fast as the plain loop (mid Wan, one card)", at("times_faster"), AT_LEAST, 1.0),
        Claim(
            "memory, over the plain loop's (mid Wan, one card)",
            over(("peak_bytes", "cameo"), ("peak_bytes", "plain loop")),
            AT_MOST,
            1.2,
        ),
    ),
)
SCALING = Benchmark(
    "scaling",
    "benchmarks.scaling",
    quick=("--quick",),
    claims=(
        Claim("a longer recording: exponent of the time", _slopes("clip length"), AT_MOST, 1.3),
        Claim("a larger picture: exponent of the time", _slopes("resolution"), AT_MOST, 1.3, quick=False),
        Claim("a longer generated clip: exponent of the time", _slopes("generated clip"), AT_MOST, 1.3, quick=False),
        Claim("more people in a scene: exponent of the time", _slopes("people"), AT_MOST, 1.8, quick=False),
        Claim("more doubles: exponent of looking one up", _slopes("doubles", "look one up"), AT_MOST, 0.4),
        Claim("more doubles: exponent of searching a face", _slopes("doubles", "search a face"), AT_MOST, 1.3),
        Claim("more grants: exponent of publishing", _slopes("grants", "publish"), AT_MOST, 1.3),
        Claim("more revocations: exponent of a host's look", _slopes("revocations", "look"), AT_MOST, 0.4),
        Claim("more receipts: exponent of reserving a use", _slopes("receipts", "reserve a use"), AT_MOST, 0.4),
        Claim("more receipts: exponent of verifying all", _slopes("receipts", "verify all"), AT_MOST, 1.3),
    ),
)
ENCODERS = Benchmark(
    "encoders",
    "benchmarks.encoders",
    quick=("--people", "6"),
    takes={"speech": ("--speech", "{speech}")},
    seeded=True,
    claims=(Claim("embedded encoders: least AUC of all their sets", _worst_area, AT_LEAST, 0.9),),
)
VERIFICATION = Benchmark(
    "verification",
    "benchmarks.verification",
    full=("--face-model", "embedded", "--voice-model", "embedded"),
    takes={
        "clips": ("--faces", "{clips}"),
        "pack": _SCORER,
        "speech": ("--speech", "{speech}", "--held-out"),
        "package:resemblyzer": ("--voice-model", "resemblyzer"),
    },
    claims=(
        Claim("embedded face encoder: AUC", _area("face"), AT_LEAST, 0.9),
        Claim("embedded voice encoder: AUC", _area("voice"), AT_LEAST, 0.9),
        Claim(
            "embedded voice encoder: AUC over Resemblyzer's",
            _area_over_resemblyzer,
            AT_LEAST,
            0.95,
            needs="package:resemblyzer",
        ),
    ),
)
FRONT = Benchmark(
    "enroll_front",
    "benchmarks.enroll_front",
    full=("--rounds", "1"),
    takes={"pack": ("--pack", "{pack}"), "clips": ("--clips", "{clips}")},
    needs=("pack",),
    claims=(
        Claim("enrolling by hand: times cameo's processor time", _front("processor_s"), AT_LEAST, 3),
        Claim("enrolling by hand: times cameo's wall time", _front("wall_s"), AT_LEAST, 3),
        Claim("AUC of the templates, over those made by hand", _as_alike, AT_LEAST, 0.98),
    ),
)
ADAPTER = Benchmark(
    "adapter_gain",
    "benchmarks.adapter_gain",
    takes={"clips": ("--clips", "{clips/*}"), "pack": _SCORER},
    seeded=True,
    claims=(
        Claim("closed: share of the way from strangers to real frames", _gain("closed"), AT_LEAST, 0.8),
        Claim("own adapter less another's, likeness", _gain("own minus another's"), AT_LEAST, 0.2),
        Claim("own adapter less no adapter, likeness", _gain("own minus no adapter"), AT_LEAST, 0.0),
    ),
)


_OWN = ("systems", "own")


FIDELITY = Benchmark(
    "identity_fidelity",
    "benchmarks.identity_fidelity",
    quick=("--quick",),
    takes={"clips": ("--clips", "{clips/*}"), "pack": _SCORER},
    written="identity_fidelity.json",
    claims=(
        Claim("own adapter less base, likeness", at("own_less_base", "value"), AT_LEAST, 0.2),
        Claim("own adapter: share of the way from strangers to real clips", at(*_OWN, "closed"), AT_LEAST, 0.6),
        Claim("real clips over own adapter, likeness", over((*_OWN, "ceiling"), (*_OWN, "likeness")),
              AT_LEAST, 1.0),
        Claim("base: share of the way from strangers to real clips", at("systems", "base", "closed"), AT_MOST, 0.25),
    ),
)  # fmt: skip
LEAKAGE = Benchmark(
    "leakage",
    "benchmarks.leakage",
    takes={"clips": ("--clips", "{clips/*}"), "pack": _SCORER},
    written="leakage.json",
)
TWO_PEOPLE = Benchmark(
    "two_people",
    "benchmarks.two_people",
    takes={"clips": ("--clips", "{clips/*}"), "pack": _SCORER},
    claims=(Claim("faces in a shared scene that are nearer to their own person", _nearer, AT_LEAST, 0.9),),
)
GATE = Benchmark(
    "gate",
    "benchmarks.gate",
    takes={"clips": ("{clips}",)},
    claims=(Claim("checks that fire on what is made to fail them", _fired, AT_LEAST, 0.8),),
)
VOICE = Benchmark(
    "voice_conversion",
    "benchmarks.voice_conversion",
    full=("--owners", "8", "--sources", "3"),
    takes={"speech": ("{speech}",)},
    needs=("speech",),
    claims=(Claim("lines that come nearer to their owner, by every encoder", _lines_nearer, AT_LEAST, 0.9),),
)
LIVENESS = Benchmark(
    "liveness",
    "benchmarks.liveness",
    needs=("command:espeak-ng", "command:flite"),
)
SPEED = Benchmark("speed", "benchmarks.speed")
NOISE = Benchmark("noise_estimate", "benchmarks.noise_estimate", takes={"speech": ("{speech}",)}, needs=("speech",))
# Rows of `tuning_ablation`, which loads too much to be asked here: a script's, ours unwatched, and everything.
_LOOP, _FIXED, _DRIVEN = "the loop of a script", "fixed steps", "+ other people"
ABLATION = Benchmark(
    "tuning_ablation",
    "benchmarks.tuning_ablation",
    full=("--jobs", "2", "--rows", _LOOP, _FIXED, _DRIVEN),
    takes={"clips": ("--clips", "{clips/*}"), "pack": _SCORER},
    seeded=True,
    claims=(
        Claim("tuning driven by likeness, less the fixed steps of a script, likeness",
              at("claims", f"{_DRIVEN} less {_LOOP}", "value"), AT_LEAST, 0.0, "clips"),
        Claim("the same, less fixed steps that begin with our closed form, likeness",
              at("claims", f"{_DRIVEN} less {_FIXED}", "value"), AT_LEAST, -0.02, "clips"),
        Claim("tuning driven by likeness, over the fixed steps of a script, CPU seconds",
              over(("rows", _DRIVEN, "seconds"), ("rows", _LOOP, "seconds")), AT_MOST, 1.1, "clips"),
    ),
)  # fmt: skip

# In the order of the table in docs/benchmarks.md.
BENCHMARKS = (
    TRUST,
    SIGNING,
    PROMPTS,
    SPEED,
    FRONT,
    TUNE_STEP,
    TUNE_STEP_GPU,
    SCALING,
    ENCODERS,
    VERIFICATION,
    FIDELITY,
    LEAKAGE,
    ADAPTER,
    TWO_PEOPLE,
    ABLATION,
    VOICE,
    GATE,
    NOISE,
    LIVENESS,
)
