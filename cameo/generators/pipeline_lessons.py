"""Windows of a person's footage, encoded once: neither the autoencoder nor the text encoder runs while training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cameo.errors import CameoError
from cameo.generators.captions import describe
from cameo.generators.lora import without_lora
from cameo.generators.memory import checkpointed
from cameo.generators.other_people import rendered_footage
from cameo.generators.region_weight import face_weights

if TYPE_CHECKING:
    from cameo.generators.base import Footage
    from cameo.generators.identity_tokens import TokenIdentity
    from cameo.generators.pipeline import PipelineGenerator, Tensors

OVERLAP = 2  # windows begin every half window
STRANGERS = 4  # a large model's window of one takes a megabyte, and seconds to encode


class CachedWindows:
    """Implement `Lessons` for a pipeline: latents and captions' embeddings are kept in memory, off the card."""

    @torch.no_grad()
    def __init__(
        self,
        generator: PipelineGenerator,
        footage: Footage,
        identity: TokenIdentity,
        drop_aids: float,
        face_weight: float = 1.0,
    ) -> None:
        self._generator, self._identity, self._drop = generator, identity, drop_aids
        self._device = generator.device  # asked once: diffusers looks through all modules for it
        length = generator.shape.window
        starts = footage.windows(length, max(1, length // OVERLAP))
        if not len(starts):
            message = f"no {length} usable frames in a row"
            raise CameoError(message, "record at least 5 s with your face in view the whole time")
        self.spans = torch.stack([starts, starts + length], 1)
        parts = [footage.part(*span) for span in self.spans.tolist()]
        captions = [describe(part) for part in parts]
        told = {words: _stored(generator.describe(words)) for words in set(captions)}
        self._told = [told[words] for words in captions]
        self._latents = [_stored(generator.encode(part.frames, part.sound)) for part in parts]
        steps, height, width = self._latents[0]["video"].shape[-3:]
        points = torch.stack([part.motion.points for part in parts])
        self._weights = face_weights(points, (steps, height, width), face_weight)
        self._strangers: list[tuple[Tensors, Tensors]] = []

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

    def prior_loss(self, count: int) -> Tensor:
        """Return how far the adapted transformer is from the base on `count` windows of rendered people."""
        generator = self._generator
        if not self._strangers:
            self._strangers = self._other_people()
        drawn = [self._strangers[k] for k in torch.randint(0, len(self._strangers), (count,)).tolist()]
        latents, told = (self._batch([one[part] for one in drawn]) for part in (0, 1))
        before = torch.random.get_rng_state(), _card_state(self._device)
        with torch.no_grad(), without_lora(generator.denoiser):
            wanted = self._predicted(latents, told)
        torch.random.set_rng_state(before[0])  # the same times and noise again
        _set_card_state(self._device, before[1])
        made = self._predicted(latents, told)
        return torch.stack([((m.float() - w.float()) ** 2).mean() for m, w in zip(made, wanted, strict=True)]).sum()

    @torch.no_grad()
    def _other_people(self) -> list[tuple[Tensors, Tensors]]:
        """Latents and captions of a few rendered people, silent."""
        generator, silence = self._generator, torch.zeros(0)
        people = rendered_footage(generator.shape.window, generator.shape.side_px, STRANGERS)
        return [
            (_stored(generator.encode(person.frames, silence)), _stored(generator.describe(describe(person))))
            for person in people
        ]

    def _predicted(self, latents: Tensors, told: Tensors) -> list[Tensor]:
        """Return what the transformer makes of a batch, at times and noise drawn anew."""
        kept: list[Tensor] = []

        def keep(_module: Any, _given: Any, made: Any) -> None:
            kept.extend(made if isinstance(made, tuple) else [made])

        hook = self._generator.denoiser.register_forward_hook(keep)
        try:
            self._loss_of(latents, told, torch.ones(1, device=self._device))
        finally:
            hook.remove()
        return kept

    def _part(self, at: list[int], shown: bool) -> Tensor:
        generator = self._generator
        latents = self._batch([self._latents[k] for k in at])
        told = self._batch([self._told[k] for k in at])
        if shown:
            told = generator.add_tokens(told, self._identity.tokens())
        return self._loss_of(latents, told, self._weights[at].to(self._device))

    def _loss_of(self, latents: Tensors, told: Tensors, weight: Tensor) -> Tensor:
        generator = self._generator
        if not generator.checkpointing:
            return generator.loss(latents, told, weight)
        with checkpointed(generator.denoiser, generator.through):
            return generator.loss(latents, told, weight)

    def _batch(self, stored: list[Tensors]) -> Tensors:
        return {name: torch.cat([one[name] for one in stored]).to(self._device) for name in stored[0]}


def _stored(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}


def _card_state(device: torch.device) -> Tensor | None:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _set_card_state(device: torch.device, state: Tensor | None) -> None:
    if state is not None:
        torch.cuda.set_rng_state(state, device)
