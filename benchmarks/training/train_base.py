"""Train the reference generator's base weights from scratch, on rendered people only.

    python -m benchmarks.training.base_data SHARDS --shards 28
    python -m benchmarks.training.train_base SHARDS --out cameo/generators/weights/reference.safetensors --seconds 3900

Shards that appear while training are picked up. Seed, steps, time and the loss curve are written beside the weights;
a killed run continues from its last checkpoint with --resume. Runs on a GPU where there is one, else on the CPU.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.training.base_data import fitted_latents
from cameo.generators.prior import mixture_gains
from cameo.generators.reference_net import ROWS, Conditions, ReferenceNet, flow_loss, prior_row

HELD_OUT = 96  # chunks of the first shard (16 identities) that are never trained on
DROP_REFERENCES, DROP_APPEARANCE, KNOW_IDENTITY = 0.2, 0.15, 0.3
PURE_NOISE = 0.6  # share of the samples at t = 1: sampling takes one step
FEATURES = (0, 1, 3, 4, 5, 6)  # eyes and mouth weigh more in the loss
FEATURE_WEIGHT = 2.0


class Shards:
    """Keep rendered chunks in memory and draw batches from them."""

    def __init__(self, folder: Path, device: torch.device, limit: int) -> None:
        self.folder, self.device, self.limit = folder, device, limit
        self.files: list[Path] = []
        self.held: dict[str, Tensor] = {}
        self.rows: dict[str, Tensor] = {}
        self.refresh()

    def refresh(self) -> None:
        """Load shards that have appeared since the last call."""
        for path in sorted(self.folder.glob("shard-*.safetensors")):
            if path in self.files or len(self.files) >= self.limit:
                continue
            rows = load_file(path)
            if not self.files:
                self.held = {k: v[:HELD_OUT] for k, v in rows.items()}
                rows = {k: v[HELD_OUT:] for k, v in rows.items()}
            self.rows = {k: torch.cat([self.rows[k], v]) if self.rows else v for k, v in rows.items()}
            self.files.append(path)

    def draw(self, batch: int) -> dict[str, Tensor]:
        """Take a random batch."""
        index = torch.randint(0, len(self.rows["clean"]), (batch,))
        return {k: v[index].to(self.device).float() for k, v in self.rows.items()}


def fit_prior(net: ReferenceNet, rows: dict[str, Tensor]) -> None:
    """Set gains and residual variance of the target given the reference, the appearance, both or neither."""
    clean, shown = rows["clean"].float(), {"near": rows["near"].float(), "learned": rows["learned"].float()}
    for row in range(ROWS):
        given = [name for name, bit in (("near", 1), ("learned", 2)) if row & bit]
        gains = mixture_gains(clean, [shown[name] for name in given])
        mean = sum((g.view(1, -1, 1, 1, 1) * shown[n] for g, n in zip(gains, given, strict=True)), torch.zeros(()))
        for name, gain in zip(given, gains, strict=True):
            getattr(net, f"{name}_gain")[row] = gain
        net.prior_variance[row] = (clean - mean).pow(2).mean((0, 2, 3, 4)).clamp_min(1e-4)


def conditions(net: ReferenceNet, rows: dict[str, Tensor], flags: tuple[Tensor, Tensor], named: Tensor) -> Conditions:
    """Build the network's inputs; flags (shown, known) and `named`, each `[B]`, say what is given."""
    shown, known = flags
    b, stat = len(shown), (len(shown), -1, 1, 1, 1)
    row = prior_row(shown, known)
    who = torch.where(named.view(b, 1), net.identity(rows["who"]), net.no_identity.expand(b, -1))
    tokens = torch.where(named.view(b, 1, 1), net.to_tokens(rows["who"]).view(b, *net.no_tokens.shape), net.no_tokens)
    near, learned = rows["near"], rows["learned"]
    mean = net.near_gain[row].view(stat) * near + net.learned_gain[row].view(stat) * learned
    variance = net.prior_variance[row].view(stat).expand(-1, -1, 1, 8, 8)
    trust = torch.ones(1, device=net.device).expand(b, 1, 1, 1, 1)
    return Conditions(
        rows["driver"], near, learned, rows["distance"], shown, known, who, tokens, mean, variance, trust
    )  # fmt: skip


def place_weight(points: Tensor) -> Tensor:
    """Stress cells around eyes and mouth, `[B, 1, 1, 8, 8]`, mean about 1."""
    axis = (torch.arange(8, device=points.device) + 0.5) / 4 - 1
    dy = axis.view(1, 1, 8, 1) - points[:, FEATURES, 1].view(len(points), -1, 1, 1)
    dx = axis.view(1, 1, 1, 8) - points[:, FEATURES, 0].view(len(points), -1, 1, 1)
    weight = 1 + FEATURE_WEIGHT * torch.exp(-(dx**2 + dy**2) / 0.18**2).amax(1)
    return (weight / weight.mean((1, 2), keepdim=True))[:, None, None]


def training_loss(net: ReferenceNet, rows: dict[str, Tensor]) -> Tensor:
    """Loss of one batch with random exposure, mirroring and dropped inputs."""
    b, device = len(rows["clean"]), rows["clean"].device
    chance = torch.rand(3, b, device=device)
    shown, known, named = chance[0] >= DROP_REFERENCES, chance[1] >= DROP_APPEARANCE, chance[2] < KNOW_IDENTITY
    contrast = torch.exp(0.1 + 0.3 * torch.randn(b, 1, 1, 1, 1, device=device))
    rows = {**rows, **{k: rows[k] * contrast for k in ("clean", "near", "learned")}}
    weight, clean = place_weight(rows["points"]), rows["clean"]
    mirror = bool(torch.rand(()) < 0.5)
    c = conditions(net, rows, (shown, known), named & (not mirror))
    if mirror:
        clean, weight, c = net.latent.mirror(clean), weight.flip(-1), c.mirrored(net.latent, net.driver_latent)
    t = torch.sigmoid(torch.randn(b, device=device) + 0.7)
    t = torch.where(torch.rand(b, device=device) < PURE_NOISE, torch.ones_like(t), t)
    return flow_loss(net, clean, c, t, weight)


@torch.no_grad()
def validate(net: ReferenceNet, held: dict[str, Tensor]) -> dict[str, float]:
    """Loss on held-out people at two noise levels, for everything that can be given."""
    device = net.device
    rows = {k: v.to(device).float() for k, v in held.items()}
    n, out = len(rows["clean"]), {}
    yes, no = torch.ones(n, dtype=torch.bool, device=device), torch.zeros(n, dtype=torch.bool, device=device)
    cases = {"neither": (no, no), "reference": (yes, no), "appearance": (no, yes), "both": (yes, yes)}
    with torch.random.fork_rng(devices=[]):
        for label, flags in cases.items():
            c = conditions(net, rows, flags, no)
            for t in (0.6, 1.0):
                torch.manual_seed(int(t * 100))
                out[f"{label}@{t}"] = flow_loss(net, rows["clean"], c, torch.full((n,), t, device=device)).item()
    return out


def save(net: ReferenceNet, path: Path, facts: dict[str, object]) -> None:
    """Write half-precision weights and the facts of the run, atomically."""
    keep = ("near_gain", "learned_gain", "prior_", "latent_", "driver_")
    state = {k: (v if k.startswith(keep) else v.half()).cpu().contiguous() for k, v in net.state_dict().items()}
    part = path.with_suffix(".part")
    save_file(state, part, metadata={"format": "pt", "data": "rendered people only", "licence": "Apache-2.0"})
    part.replace(path)
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


def schedule(done: float, step: int) -> float:
    """Warm up over 100 steps, hold, then fall to 2 % over the last 60 % of the time."""
    fall = 1 if done < 0.4 else 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - 0.4) / 0.6))
    return min(1, (step + 1) / 100) * fall


def main() -> None:
    """Train for a number of seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3900)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=1.0e-3)
    parser.add_argument("--muon", type=float, default=4.0, help="learning rate of the block matrices, over --lr")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=60, help="shards kept in memory")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--compile", action="store_true", help="compile the transformer (needs a C++ compiler)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    shards, net = Shards(args.shards, device, args.limit), ReferenceNet().to(device)
    for name, fitted in zip(("latent", "driver"), fitted_latents(device), strict=True):
        getattr(net, f"{name}_mean").copy_(fitted.mean)
        getattr(net, f"{name}_scale").copy_(fitted.scale)
    fit_prior(net, {k: v[:3000] for k, v in shards.rows.items()})
    matrices = [p for n, p in net.transformer.named_parameters() if p.ndim == 2 and n.startswith("blocks.")]
    chosen = {id(p) for p in matrices}
    rest = [p for p in net.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(matrices, lr=args.lr, weight_decay=0.01, ns_steps=3, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(rest, lr=args.lr, betas=(0.9, 0.95), weight_decay=0.01)
    average = copy.deepcopy(net)
    step, spent = 0, 0.0
    curve: list[dict[str, float]] = []
    checkpoint = args.out.with_suffix(".ckpt")
    if args.resume and checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(kept["net"]), average.load_state_dict(kept["average"])
        muon.load_state_dict(kept["muon"]), adam.load_state_dict(kept["adam"])
        step, spent, curve = kept["step"], kept["spent"], json.loads(kept["curve"])
    plain = net.transformer.forward
    net.transformer.set_attention_backend("_native_math")
    if args.compile:
        net.transformer.forward = torch.compile(plain)
    start = time.time() - spent
    recent: list[float] = []
    while (done := (time.time() - start) / args.seconds) < 1:
        rate = args.lr * schedule(done, step)
        for optimiser, factor in ((adam, 1.0), (muon, args.muon)):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
        loss = training_loss(net, shards.draw(args.batch))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step(), muon.step()
        adam.zero_grad(), muon.zero_grad()
        step += 1
        recent = [*recent[-199:], loss.item()]
        with torch.no_grad():
            share = max(0.002, 10 / (step + 10))
            torch._foreach_lerp_(list(average.parameters()), [p.detach() for p in net.parameters()], share)
        last = time.time() - start >= args.seconds
        if step in (1, 20, 100) or step % 500 == 0 or last:
            shards.refresh()
            spent = time.time() - start
            chunks, mean = len(shards.rows["clean"]), sum(recent) / len(recent)
            curve.append({"step": step, "seconds": round(spent), "loss": mean, **validate(average, shards.held)})
            print(json.dumps({k: round(v, 4) for k, v in curve[-1].items()}), "chunks", chunks, flush=True)
            facts = {
                "seed": args.seed, "steps": step, "batch": args.batch, "seconds": round(spent), "device": str(device),
                "torch": torch.__version__, "threads": args.threads, "chunks": chunks, "curve": curve,
            }  # fmt: skip
            save(average, args.out, facts)
            modules: dict[str, Any] = {"net": net, "average": average, "muon": muon, "adam": adam}
            state = {name: module.state_dict() for name, module in modules.items()}
            torch.save({**state, "step": step, "spent": spent, "curve": json.dumps(curve)}, checkpoint)


if __name__ == "__main__":
    main()
