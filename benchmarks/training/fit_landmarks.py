"""Fit the landmark network on rendered people.

    python benchmarks/training/fit_landmarks.py --out cameo/faces/weights/landmarks.safetensors --seconds 600

Seed, steps, time and the loss curve are written beside the weights.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file
from torch import Tensor

from cameo.faces.landmark_net import CROP, LandmarkNet, normalise
from cameo.synthetic.motion import sample_motion
from cameo.synthetic.renderer import draw
from cameo.synthetic.traits import sample_identities

SIZE = 96
BOX_OVER_EYES = 1 / 0.38  # a Haar face box is about 2.6 inter-eye distances wide
CROP_OVER_BOX = 1.3


@torch.no_grad()
def render_people(count: int, g: torch.Generator) -> dict[str, Tensor]:
    """Render `count` people in four poses each: grey frames `[4n, 96, 96]` uint8, points, eye openness, lip gap."""
    rows: dict[str, list[Tensor]] = {"grey": [], "points": [], "eye": [], "gap": []}
    for _ in range(count // 16):
        motion = sample_motion(16, 1, g, 1.2)
        for _ in range(3):
            motion = motion.joined(sample_motion(16, 1, g, 1.2))
        wide = torch.rand(motion.mouth.shape, generator=g)  # most frames of speech are nearly closed; show them all
        mouth = torch.where(torch.rand(wide.shape, generator=g) < 0.6, wide, motion.mouth)
        motion = replace(motion, scale=motion.scale * 0.75, mouth=mouth)
        scene = draw(sample_identities(16, g), motion, SIZE, g)
        grey = scene.frames @ torch.tensor([0.299, 0.587, 0.114])
        points = scene.points.flatten(0, 1)
        eyes = (points[:, 1] - points[:, 0]).norm(dim=-1)
        rows["grey"].append((grey.flatten(0, 1) * 255).byte())
        rows["points"].append(points)
        rows["eye"].append(scene.eye_open.flatten())
        rows["gap"].append((points[:, 6] - points[:, 5]).norm(dim=-1) / eyes)
    return {k: torch.cat(v) for k, v in rows.items()}


def crop_batch(rows: dict[str, Tensor], index: Tensor) -> tuple[Tensor, Tensor]:
    """Cut jittered crops `[N, 1, 64, 64]` in 0..1 and map the points into them."""
    n = len(index)
    grey, points = rows["grey"][index].float()[:, None] / 255, rows["points"][index]
    left, right = points[:, 0], points[:, 1]
    box = (right - left).norm(dim=-1).clamp_min(0.25) * BOX_OVER_EYES
    half = box * CROP_OVER_BOX / 2 * torch.exp(0.13 * torch.randn(n))
    centre = (left + right) / 2 + torch.stack([torch.zeros(n), 0.12 * box], 1) + box[:, None] * 0.07 * torch.randn(n, 2)
    angle = 0.15 * torch.randn(n)
    cos, sin = torch.cos(angle) * half, torch.sin(angle) * half
    matrix = torch.stack([torch.stack([cos, -sin, centre[:, 0]], 1), torch.stack([sin, cos, centre[:, 1]], 1)], 1)
    grid = F.affine_grid(matrix, [n, 1, CROP, CROP], align_corners=False)
    crops = F.grid_sample(grey, grid, padding_mode="border", align_corners=False)
    rotation = torch.stack([torch.stack([cos, sin], 1), torch.stack([-sin, cos], 1)], 1) / half.view(n, 1, 1) ** 2
    return crops, (points - centre[:, None]) @ rotation.transpose(1, 2)


def disturb(crops: Tensor) -> Tensor:
    """Make renders look less like renders: blur, clutter, occluders, texture, gamma, noise."""
    n = len(crops)
    share = lambda p: (torch.rand(n, 1, 1, 1) < p).float()  # noqa: E731
    small = F.interpolate(crops, scale_factor=0.5, mode="area")
    soft = F.interpolate(small, size=(CROP, CROP), mode="bilinear", align_corners=False)
    mix = torch.rand(n, 1, 1, 1) * share(0.6)
    crops = crops * (1 - mix) + soft * mix
    for cells in (8, 16, 32):  # shadows, hair, skin: texture at several sizes
        texture = F.interpolate(torch.randn(n, 1, cells, cells), size=(CROP, CROP), mode="bicubic", align_corners=False)
        crops = crops + texture * torch.rand(n, 1, 1, 1) * share(0.3) * 0.04
    axis = (torch.arange(CROP) + 0.5) / CROP * 2 - 1
    x, y = torch.rand(n, 1, 1, 1) * 2 - 1, torch.rand(n, 1, 1, 1) * 2 - 1
    w, h = torch.rand(n, 1, 1, 1) * 0.3 + 0.05, torch.rand(n, 1, 1, 1) * 0.3 + 0.05
    over = ((axis.view(1, 1, 1, -1) - x).abs() < w) & ((axis.view(1, 1, -1, 1) - y).abs() < h)
    crops = torch.where(over & (share(0.25) > 0), torch.rand(n, 1, 1, 1), crops)
    crops = crops.clamp(0, 1) ** torch.exp(0.25 * torch.randn(n, 1, 1, 1))
    return (crops + 0.03 * torch.rand(n, 1, 1, 1) * torch.randn_like(crops)).clamp(0, 1)


def loss_of(net: LandmarkNet, rows: dict[str, Tensor], index: Tensor) -> tuple[Tensor, Tensor]:
    """Training loss and the mean point error in inter-eye distances."""
    crops, points = crop_batch(rows, index)
    if torch.rand(()) < 0.5:
        order = torch.tensor([1, 0, 2, 4, 3, 5, 6, 7, 9, 8])
        crops, points = crops.flip(-1), (points * torch.tensor([-1.0, 1.0]))[:, order]
    inputs = normalise(disturb(crops)).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        found, eye, gap = (out.float() for out in net(inputs))
    unit = (points[:, 1] - points[:, 0]).norm(dim=-1).clamp_min(0.2).view(-1, 1)
    error = (found - points).norm(dim=-1) / unit
    parting = ((found[:, 6] - found[:, 5]) - (points[:, 6] - points[:, 5])).norm(dim=-1) / unit[:, 0]
    inside = (points.abs().amax(-1) < 1.4).float()
    loss = (torch.sqrt(error**2 + 1e-4) * inside).mean() + 0.5 * F.smooth_l1_loss(gap, rows["gap"][index], beta=0.05)
    loss = loss + 0.3 * parting.mean()  # what the mouth is driven by
    return loss + 0.2 * F.mse_loss(eye, rows["eye"][index]), error.mean()


def main() -> None:
    """Render, fit, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--people", type=int, default=5120)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    cache = args.out.with_suffix(".renders.pt")
    if cache.exists():
        rows = torch.load(cache, weights_only=True)
    else:
        rows = render_people(args.people, torch.Generator().manual_seed(args.seed))
        torch.save(rows, cache)
    held = max(64, len(rows["eye"]) // 20)
    net = LandmarkNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-4)
    start, step, curve = time.time(), 0, []
    while (done := (time.time() - start) / args.seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 100) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        loss, _ = loss_of(net, rows, torch.randint(held, len(rows["eye"]), (args.batch,)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        if step % 250 == 0:
            net.eval()
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(1)
                check, error = loss_of(net, rows, torch.arange(held))
            net.train()
            curve.append({"step": step, "loss": loss.item(), "held_loss": check.item(), "held_error": error.item()})
            print(f"{time.time() - start:.0f}s", json.dumps(curve[-1]), flush=True)
            facts = {"seed": args.seed, "steps": step, "batch": args.batch, "people": args.people,
                     "seconds": round(time.time() - start), "data": "rendered people only", "curve": curve}  # fmt: skip
            save_file({k: v.contiguous() for k, v in net.state_dict().items()}, args.out, metadata={"format": "pt"})
            args.out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
