"""Windows of a person's footage, encoded once: neither the autoencoder nor the text encoder runs while training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cameo.errors import CameoError
from cameo.generators.captions import caption
from cameo.generators.memory import checkpointed

if TYPE_CHECKING:
    from cameo.generators.base import Footage
    from cameo.generators.identity_tokens import TokenIdentity
    from cameo.generators.pipeline import PipelineGenerator, Tensors

OVERLAP = 2  # windows begin every half window


class CachedWindows:
    """Implement `Lessons` for a pipeline: latents and captions' embeddings are kept in memory, off the card."""

    @torch.no_grad()
    def __init__(
        self, generator: PipelineGenerator, footage: Footage, identity: TokenIdentity, drop_aids: float
    ) -> None:
        self._generator, self._identity, self._drop = generator, identity, drop_aids
        length = generator.shape.window
        starts = footage.windows(length, max(1, length // OVERLAP))
        if not len(starts):
            message = f"no {length} usable frames in a row"
            raise CameoError(message, "record at least 5 s with your face in view the whole time")
        self.spans = torch.stack([starts, starts + length], 1)
        captions = [caption(footage, *span) for span in self.spans.tolist()]
        told = {words: _stored(generator.describe(words)) for words in set(captions)}
        self._told = [told[words] for words in captions]
        self._latents = []
        for start, stop in self.spans.tolist():
            part = footage.part(start, stop)
            self._latents.append(_stored(generator.encode(part.frames, part.sound)))

    def __len__(self) -> int:
        return len(self._latents)

    def loss(self, windows: Tensor) -> Tensor:
        """Return the mean loss of the windows `[B]`: those that are shown the tokens, and those that are not."""
        shown = torch.rand(len(windows)) >= self._drop
        parts = []
        for given in (True, False):
            at = windows[shown == given].tolist()
            if at:
                parts.append(self._part(at, given) * len(at) / len(windows))
        return torch.stack(parts).sum()

    def _part(self, at: list[int], shown: bool) -> Tensor:
        generator = self._generator
        latents = self._batch([self._latents[k] for k in at])
        told = self._batch([self._told[k] for k in at])
        if shown:
            told = generator.add_tokens(told, self._identity.tokens())
        with checkpointed(generator.denoiser, generator.through):
            return generator.loss(latents, told, torch.ones(1, device=generator.device))

    def _batch(self, stored: list[Tensors]) -> Tensors:
        device = self._generator.device
        return {name: torch.cat([one[name] for one in stored]).to(device) for name in stored[0]}


def _stored(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}
