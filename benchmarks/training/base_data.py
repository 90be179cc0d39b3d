"""Render training chunks for the reference generator's base, in shards.

    python benchmarks/training/base_data.py SHARDS --seed 0 --shards 28

Each identity gets one scene with eight differently posed segments of eight frames; every segment becomes one chunk. Its
reference is a warped frame of another segment and its learned appearance is fitted to the other segments, as a
double's references and appearance come from other parts of the same recording.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from cameo.generators.appearance import straighten
from cameo.generators.base import Motion
from cameo.generators.latent import BlockDct
from cameo.generators.reference_net import CHANNELS, DRIVER_CHANNELS, FRAMES, SIZE
from cameo.generators.warp import draw_driver, look, warp_to
from cameo.synthetic.motion import sample_motion
from cameo.synthetic.renderer import Rendered, draw
from cameo.synthetic.traits import sample_identities

SEGMENTS, CANDIDATES, IDENTITIES = 8, 3, 8
POINT_NOISE = 0.010  # landmark detectors jitter by about this much, in picture half extents
SHARD_CHUNKS = 512


def fitted_latents(device: torch.device) -> tuple[BlockDct, BlockDct]:
    """Frame and driver latents with statistics of a fixed set of rendered people."""
    g = torch.Generator(device).manual_seed(99)
    scene = _scene(sample_identities(48, g), g, segments=1)
    drawn = draw_driver(scene.points.flatten(0, 1), scene.eye_open.flatten(), SIZE).view_as(scene.frames)
    latent, driver = BlockDct(CHANNELS).to(device), BlockDct(DRIVER_CHANNELS).to(device)
    return latent.fit(scene.frames), driver.fit(drawn)


def _scene(identities: Tensor, g: torch.Generator, segments: int = SEGMENTS) -> Rendered:
    pose = 0.3 + 0.8 * torch.rand(1, generator=g, device=g.device).item()
    motion = sample_motion(len(identities), FRAMES, g, pose)
    for _ in range(segments - 1):
        motion = motion.joined(sample_motion(len(identities), FRAMES, g, pose))
    return draw(identities, motion, SIZE, g)


@dataclass(frozen=True)
class _Others:
    """Candidate reference frames of one identity, `C` of them; `own` `[S, C]`: those inside each segment."""

    frames: Tensor
    points: Tensor
    eyes: Tensor
    own: Tensor


def _others(frames: Tensor, points: Tensor, eyes: Tensor, g: torch.Generator) -> _Others:
    """Draw candidates from segments `[S, T, …]`."""
    at = torch.randint(0, FRAMES, (SEGMENTS, CANDIDATES), generator=g, device=g.device)
    rows = torch.arange(SEGMENTS, device=g.device).view(-1, 1)
    own = rows == rows.expand(-1, CANDIDATES).flatten()[None]
    return _Others(frames[rows, at].flatten(0, 1), points[rows, at].flatten(0, 1), eyes[rows, at].flatten(), own)


def _nearest(points: Tensor, eyes: Tensor, others: _Others, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose a reference for every segment, mostly the most similar: index and distance `[S]`."""
    distance = torch.cdist(look(points.mean(1), eyes.mean(1)), look(others.points, others.eyes))
    order = (distance + 1e3 * others.own).argsort(1)
    usable = order.shape[1] - CANDIDATES
    rank = torch.randint(0, usable, (SEGMENTS, 1), generator=g, device=g.device)
    rank = torch.where(torch.rand(SEGMENTS, 1, generator=g, device=g.device) < 0.7, 0, rank)
    chosen = order.gather(1, rank)
    return chosen[:, 0], distance.gather(1, chosen)[:, 0]


def _warped(others: _Others, index: Tensor, points: Tensor) -> Tensor:
    """Bend one candidate per segment, `index` `[S]`, to its points `[S, T, 10, 2]`: `[S, T, H, W, 3]`."""
    wide = lambda q: q[index][:, None].expand(-1, FRAMES, *q.shape[1:]).flatten(0, 1)  # noqa: E731
    return warp_to(wide(others.frames), wide(others.points), points.flatten(0, 1)).view(-1, FRAMES, SIZE, SIZE, 3)


def _appearance(frames: Tensor, points: Tensor, eyes: Tensor) -> Tensor:
    """Draw every segment `[S, T, …]` from an appearance fitted to the others, `[S, T, H, W, 3]`."""
    motion = Motion(points.flatten(0, 1), eyes.flatten())
    straight = straighten(frames.flatten(0, 1), motion, motion.points.mean(0))
    segment = torch.arange(len(motion), device=points.device) // FRAMES
    fitted = [straight.fit(torch.nonzero(segment != k).flatten()) for k in range(SEGMENTS)]
    return torch.stack([a.draw(Motion(points[k], eyes[k])) for k, a in enumerate(fitted)])


@torch.no_grad()
def make_chunks(latent: BlockDct, driver: BlockDct, g: torch.Generator) -> dict[str, Tensor]:
    """Render one batch of identities; every value has one row per chunk."""
    z = sample_identities(IDENTITIES, g)
    scene = _scene(z, g)
    shape = (IDENTITIES, SEGMENTS, FRAMES)
    frames = scene.frames.reshape(*shape, SIZE, SIZE, 3)
    points = scene.points.view(*shape, 10, 2)
    points = points + torch.randn(points.shape, generator=g, device=g.device) * POINT_NOISE
    eyes = scene.eye_open.reshape(shape)
    drawn = draw_driver(points.flatten(0, 2), eyes.flatten(), SIZE).view(-1, FRAMES, SIZE, SIZE, 3)
    out: dict[str, list[Tensor]] = {"near": [], "learned": [], "distance": []}
    for b in range(IDENTITIES):
        others = _others(frames[b], points[b], eyes[b], g)
        index, distance = _nearest(points[b], eyes[b], others, g)
        out["distance"].append(distance)
        out["near"].append(latent.encode(_warped(others, index, points[b])).half())
        out["learned"].append(latent.encode(_appearance(frames[b], points[b], eyes[b])).half())
    return {
        "clean": latent.encode(frames.flatten(0, 1)).half(),
        "driver": driver.encode(drawn).half(),
        "points": points.flatten(0, 1).mean(1),
        "who": z.repeat_interleave(SEGMENTS, 0),
        **{name: torch.cat(rows) for name, rows in out.items()},
    }


def main() -> None:
    """Write shards until there are enough; an interrupted run continues where it stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shards", type=int, default=28)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    args.folder.mkdir(parents=True, exist_ok=True)
    latent, driver = fitted_latents(device)
    for shard in range(args.shards):
        path = args.folder / f"shard-{args.seed:02d}-{shard:04d}.safetensors"
        if path.exists():
            continue
        start, g = time.time(), torch.Generator(device).manual_seed(100_000 * (args.seed + 1) + shard)
        batches = [make_chunks(latent, driver, g) for _ in range(SHARD_CHUNKS // (IDENTITIES * SEGMENTS))]
        rows = {key: torch.cat([b[key] for b in batches]).cpu().contiguous() for key in batches[0]}
        save_file(rows, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
        print(f"{path.name}: {len(rows['clean'])} chunks in {time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
