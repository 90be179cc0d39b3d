"""What the loop of a DreamBooth-LoRA script learns of a person on the reference generator.

A LoRA on the same modules, the generator's own loss on windows of the footage, a fixed number of steps. Nothing is
solved first: how the person looks, which share of a reference to trust and how much of the network's correction stay
what they are for somebody nobody knows.

Source: `examples/dreambooth` of huggingface/diffusers.
"""

from __future__ import annotations

from importlib.resources import files

import torch
from torch import Tensor

from cameo.generators.base import Footage
from cameo.generators.reference import ReferenceGenerator
from cameo.generators.reference_net import FRAMES, ReferenceNet, flow_loss
from cameo.generators.references import (
    Chunks,
    ReferenceIdentity,
    as_chunks,
    draw_chunks,
    nearest_references,
    warp_chunks,
)

STRIDE = 2  # frames between windows


class PlainLessons:
    """Hold encoded windows of a person, each with its best reference; implements `Lessons`."""

    def __init__(self, net: ReferenceNet, footage: Footage, who: ReferenceIdentity, drop_aids: float) -> None:
        self._net, self._who, self._drop = net, who, drop_aids
        starts = footage.windows(FRAMES, STRIDE)
        self.spans = torch.stack([starts, starts + FRAMES], 1)
        motion = as_chunks(footage.motion, starts)
        index, distance = nearest_references(who, motion, rank=1)  # the nearest may be the window itself
        with torch.no_grad():
            self._clean = net.latent.encode(footage.frames[starts[:, None] + torch.arange(FRAMES)].float() / 255)
        near = warp_chunks(net, who, motion, index)
        self._shown = Chunks(draw_chunks(net, motion), near, torch.zeros_like(near), distance)

    def __len__(self) -> int:
        return len(self._clean)

    def loss(self, windows: Tensor) -> Tensor:
        """Return the mean loss of the windows `[B]`, some of them without references."""
        shown = torch.rand(len(windows)) >= self._drop
        parts = []
        for given in (True, False):
            at = windows[shown == given]
            if len(at):
                c = self._shown
                some = Chunks(c.driver[at], c.near[at], c.learned[at], c.distance[at])
                times = torch.sigmoid(torch.randn(len(at)))
                loss = flow_loss(self._net, self._clean[at], some.conditions(self._who, given), times)
                parts.append(loss * len(at) / len(windows))
        return torch.stack(parts).sum()

    def prior_loss(self, count: int) -> Tensor:
        """Refuse: a plain loop has no prior."""
        raise NotImplementedError(f"no prior for {count} windows")


class PlainReference(ReferenceGenerator):
    """Be the reference generator with the lessons of a plain loop."""

    def lessons(  # type: ignore[override]
        self, footage: Footage, identity: ReferenceIdentity, drop_aids: float, face_weight: float = 1.0
    ) -> PlainLessons:
        """Encode windows, and solve nothing; `face_weight` is left alone."""
        return PlainLessons(self.net, footage, identity, drop_aids)


def load_plain_reference() -> PlainReference:
    """Load the weights that ship with the package."""
    return PlainReference((files("cameo.generators") / "weights" / "reference.safetensors").read_bytes())
