"""A person as learned tokens beside the words: what a pipeline is conditioned on besides the LoRA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cameo.errors import NotVerified

if TYPE_CHECKING:
    from cameo.generators.base import Footage

TOKENS = 8  # per modality; textual inversion gains little beyond that. Source: R. Gal et al., 2022, figure 7
SPEAKER_LIMIT = 4096
_NEAR = 0.02  # of the words' own size: tokens start next to them, but apart from each other
_SEED = 20_261_126  # of the fixed projection of a speaker embedding
_TOKENS, _SPEAKER = "tokens", "speaker"


@dataclass(frozen=True)
class TokenPlan:
    """Say which modalities have tokens, and where in the space of the words they begin: `start` `[D]` by modality."""

    start: Mapping[str, Tensor]


class TokenIdentity(nn.Module):
    """Hold `[8, D]` tokens per modality, and the speaker embedding that the voice's tokens begin at.

    The tokens of the voice begin at the speaker embedding through a fixed random projection, scaled to the size of the
    words: voices of one embedding start alike.
    """

    def __init__(self, tokens: Mapping[str, Tensor], speaker: Tensor | None) -> None:
        super().__init__()
        self.learned = nn.ParameterDict({m: nn.Parameter(t.detach().clone().float()) for m, t in tokens.items()})
        self.speaker = None if speaker is None else speaker.detach().clone().float()

    @classmethod
    def begin(cls, plan: TokenPlan, footage: Footage) -> TokenIdentity:
        """Start next to the words "a person"; nothing is learned yet."""
        g = torch.Generator().manual_seed(_SEED)
        tokens = {}
        speaker = footage.speaker if "voice" in plan.start and len(footage.sound) else None
        for modality, start in plan.start.items():
            if modality == "voice" and not len(footage.sound):
                continue  # nothing is heard of the person, and nothing can be learned
            size = float(start.float().pow(2).mean().sqrt())
            near = start.float().cpu() + _NEAR * size * torch.randn(TOKENS, len(start), generator=g)
            if modality == "voice" and speaker is not None:
                near = near + _projected(speaker, len(start)) * size
            tokens[modality] = near
        return cls(tokens, speaker)

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], plan: TokenPlan) -> TokenIdentity:
        """Rebuild from sealed tensors of one or more modalities, named `MODALITY.tokens` and `voice.speaker`.

        Raises:
            NotVerified: a name, shape or type that does not fit.
        """
        rest, tokens = dict(tensors), {}
        speaker = rest.pop(f"voice.{_SPEAKER}", None)
        for modality, start in plan.start.items():
            value = rest.pop(f"{modality}.{_TOKENS}", None)
            if value is None:
                continue
            if value.shape != (TOKENS, len(start)) or value.dtype != torch.float32:
                raise _misfit(f"{modality}.{_TOKENS}")
            tokens[modality] = value
        if speaker is not None:
            vector = speaker.ndim == 1 and 1 <= len(speaker) <= SPEAKER_LIMIT and speaker.dtype == torch.float32
            if not vector or "voice" not in tokens:
                raise _misfit(f"voice.{_SPEAKER}")
        if rest or not tokens:
            raise _misfit(sorted(rest)[0] if rest else "none")
        return cls(tokens, speaker)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Which it has tokens for."""
        return tuple(self.learned)

    def tokens(self) -> dict[str, Tensor]:
        """Return the tokens by modality, each `[8, D]`."""
        return dict(self.learned.items())

    def tensors(self, modality: str = "face") -> dict[str, Tensor]:
        """Return what is sealed of a modality, by name."""
        sealed = {f"{modality}.{_TOKENS}": self.learned[modality].detach().cpu().contiguous()}
        if modality == "voice" and self.speaker is not None:
            sealed[f"voice.{_SPEAKER}"] = self.speaker.cpu().contiguous()
        return sealed

    def trainable(self) -> Sequence[nn.Parameter]:
        """Return the tokens."""
        return list(self.learned.values())


def _projected(speaker: Tensor, width: int) -> Tensor:
    """Project a unit vector `[D]` to `[8, width]` of unit mean square, by a matrix that never changes."""
    g = torch.Generator().manual_seed(_SEED)
    matrix = torch.randn(TOKENS * width, len(speaker), generator=g)
    return (matrix @ speaker.float().cpu()).view(TOKENS, width)


def _misfit(name: str) -> NotVerified:
    message = f"the identity part has a tensor that does not fit this generator: {name}"
    return NotVerified(message, "tune the double again")
