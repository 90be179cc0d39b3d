"""Time and memory of one tuning step, against the loop that a user writes after diffusers' DreamBooth-LoRA scripts.

    python -m benchmarks.tune_step [--size tiny|small|mid] [--device cpu|cuda] [--batch N] [--steps N] [--rounds N]
                                   [--no-peak] [--out FILE.json]

Both tune the same LoRA of the same random pipeline on the same clips, in one process and in turns. Ours draws from
latents and captions that were encoded once (what that took is printed too), with the identity tokens trained along.
Peak memory is measured in a process of its own for each: of the card where there is one, of the process otherwise.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.peers.dreambooth_lora import train_wan
from benchmarks.random_pipelines import WAN, random_wan
from benchmarks.results import write_result
from cameo.adapt.export import lora_config
from cameo.generators.base import Footage, Motion
from cameo.generators.lora import remove_lora
from cameo.generators.pipeline import as_video
from cameo.generators.wan import WanGenerator

OURS, PEER = "cameo", "plain loop"
RANK = 32
WINDOWS = 8  # as many as a short clip has
WARM_UP = 2


def footage(side: int, length: int) -> Footage:
    """Noise, of which `WINDOWS` windows can be cut: what is in the pictures costs nothing."""
    count = length + (WINDOWS - 1) * max(1, length // 2)
    g = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (count, side, side, 3), generator=g, dtype=torch.uint8)
    motion = Motion(torch.rand(count, 10, 2, generator=g), torch.ones(count))
    return Footage(frames, motion, torch.ones(count, dtype=torch.bool), fps=16.0)


def ours(generator: WanGenerator, seen: Footage, batch: int) -> Iterator[float]:
    """Tune as `adapt.train` does; yields the seconds that encoding took, then the loss of each step."""
    denoiser = generator.denoiser
    began = time.perf_counter()
    identity = generator.fit_identity(seen)
    lessons = generator.lessons(seen, identity, 0.0)
    _settle(generator.device)
    yield time.perf_counter() - began
    denoiser.requires_grad_(False)
    denoiser.add_adapter(lora_config(generator.lora_targets("face"), RANK), adapter_name="tuned")
    params = [p for p in denoiser.parameters() if p.requires_grad]
    for p in params:
        p.data = p.data.float()
    params += list(identity.trainable())
    optimiser = torch.optim.AdamW(params, lr=1e-4)
    while True:
        loss = lessons.loss(torch.randint(0, len(lessons), (batch,)))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimiser.step()
        yield float(loss.detach())


def peer(generator: WanGenerator, seen: Footage, batch: int) -> Iterator[float]:
    """The plain loop, on the same windows."""
    length = generator.shape.window
    starts = seen.windows(length, max(1, length // 2)).tolist()
    clips = torch.cat([as_video(seen.frames[start : start + length]) for start in starts])
    return train_wan(generator.pipe, clips, generator.lora_targets("face"), RANK, batch)


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _generator(size: str, device: str) -> WanGenerator:
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    return WanGenerator(random_wan(size, device, dtype), WAN[size].shape)


def timed(size: str, device: str, batch: int, steps: int, rounds: int) -> dict[str, Any]:
    """Seconds per step of both, in turns; the median of each round."""
    generator = _generator(size, device)
    seen = footage(generator.shape.side_px, generator.shape.window)
    seconds: dict[str, list[float]] = {OURS: [], PEER: []}
    encoding = []
    for _ in range(rounds):
        for name, begin in ((OURS, ours), (PEER, peer)):
            run = begin(generator, seen, batch)
            if name == OURS:
                encoding.append(next(run))
            for _ in range(WARM_UP):
                next(run)
            _settle(generator.device)
            each = []
            for _ in range(steps):
                began = time.perf_counter()
                next(run)  # the loss is read, so the card has finished
                each.append(time.perf_counter() - began)
            seconds[name].append(statistics.median(each))
            run.close() if hasattr(run, "close") else None
            remove_lora(generator.denoiser)
    ratios = [p / o for o, p in zip(seconds[OURS], seconds[PEER], strict=True)]
    return {"seconds_per_step": seconds, "encoding_s": encoding, "times_faster": ratios}


def peak(name: str, size: str, device: str, batch: int, steps: int) -> int:
    """Peak memory in bytes of a few steps of one of them, in a process of its own."""
    words = [sys.executable, "-m", "benchmarks.tune_step", "--peak", name, "--size", size, "--device", device]
    words += ["--batch", str(batch), "--steps", str(steps)]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[-1])


def _peak_here(name: str, size: str, device: str, batch: int, steps: int) -> int:
    generator = _generator(size, device)
    seen = footage(generator.shape.side_px, generator.shape.window)
    run = (ours if name == OURS else peer)(generator, seen, batch)
    if name == OURS:
        next(run)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()  # encoding happens before, once, a window at a time
    for _ in range(steps):
        next(run)
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=tuple(WAN), default="small")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--no-peak", action="store_true", help="leave out what memory it takes")
    parser.add_argument("--peak", choices=(OURS, PEER), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.peak:
        print(_peak_here(chosen.peak, chosen.size, chosen.device, chosen.batch, chosen.steps))
        return
    found = timed(chosen.size, chosen.device, chosen.batch, chosen.steps, chosen.rounds)
    if not chosen.no_peak:
        found["peak_bytes"] = {n: peak(n, chosen.size, chosen.device, chosen.batch, 3) for n in (OURS, PEER)}
    found["device"] = torch.cuda.get_device_name() if chosen.device == "cuda" else "cpu"
    found |= {"size": chosen.size, "batch": chosen.batch, "steps": chosen.steps}
    _show(found)
    if chosen.out:
        write_result(chosen.out, found, {"turns": chosen.rounds, "steps a turn": chosen.steps, "windows": WINDOWS})


def _show(found: dict[str, Any]) -> None:
    print(f"Wan, {found['size']}, batch {found['batch']}, {found['device']}")
    for name in (OURS, PEER):
        each = found["seconds_per_step"][name]
        memory = f", {found['peak_bytes'][name] / 1e9:.2f} GB" if "peak_bytes" in found else ""
        print(f"  {name:12} {statistics.median(each):8.3f} s a step ({min(each):.3f} to {max(each):.3f}){memory}")
    ratios = found["times_faster"]
    print(f"  {statistics.median(ratios):.2f} times faster ({min(ratios):.2f} to {max(ratios):.2f});"
          f" encoding once took {statistics.median(found['encoding_s']):.1f} s")  # fmt: skip


if __name__ == "__main__":
    main()
