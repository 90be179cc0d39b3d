"""Check spoken digits against the known string: no recogniser, one question for each slot of time.

For each slot the network says how likely every digit is, and anything else; the evidence is the logarithm of the
likelihood ratio between the digit that was asked for and the rest. Nobody needs to find out what else was said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load

from cameo.capture.digit_net import OTHER, DigitNet, mel_picture
from cameo.errors import MissingWeights

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from cameo.records import Float32, Float64

# One slot says at most this much for or against, so that one digit said badly does not outweigh five said well.
MOST_NATS = 3.0
# How much "anything else" counts against one other digit. It is where voices unlike those of the fit end up, so that
# with a weight of 1 people are refused who are understood. Source: `benchmarks/training/fit_digits.py`, a real voice.
OTHER_WEIGHT = 0.1
_SHORTEST = 3200  # samples: what is shorter cannot hold a digit
_QUIETEST = 1e-4  # of full scale: below is silence, whatever its shape
_HINT = "the installation is damaged: install cameo-double again"


@dataclass(frozen=True, slots=True)
class DigitModel:
    """Hold the network and what was measured with it.

    `threshold` is the mean log-likelihood ratio of six slots from which the string counts as said, `threshold_source`
    what set it, `digest` the SHA-256 (hex) of the weights.
    """

    net: DigitNet
    threshold: float
    threshold_source: str
    digest: str


@cache
def load_digit_model() -> DigitModel:
    """Load the weights that ship with the package.

    Raises:
        MissingWeights: a file is missing, cannot be read, or differs from its digest.
    """
    return read_digit_model(files("cameo.capture") / "weights")


def read_digit_model(folder: Traversable) -> DigitModel:
    """Read `digits.safetensors` and the facts beside it.

    Raises:
        MissingWeights: a file is missing, cannot be read, or differs from its digest.
    """
    try:
        data = (folder / "digits.safetensors").read_bytes()
        facts = json.loads((folder / "digits.json").read_bytes())
        digest = hashlib.sha256(data).hexdigest()
        if facts["sha256"] != digest:
            raise MissingWeights("the weights of the digit model differ from their digest", _HINT)
        net = DigitNet()
        net.load_state_dict({name: tensor.float() for name, tensor in load(data).items()})
        limit = facts["threshold"]
        return DigitModel(net.eval(), float(limit["value"]), str(limit["source"]), digest)
    except OSError as error:
        raise MissingWeights("the weights of the digit model are not there", _HINT) from error
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise MissingWeights("the weights of the digit model cannot be read", _HINT) from error


def score_digits(slots: Sequence[Float32], digits: Sequence[int], model: DigitModel | None = None) -> Float64:
    """Say for each slot how much speaks for the digit that was asked for.

    Args:
        slots: the sound of each slot, `[N]` float32 mono at 16 kHz.
        digits: what was asked for in each, 0..9.
        model: the one that ships by default.

    Returns:
        `[len(digits)]` log-likelihood ratios in nats, -3..3; -3 for silence.

    Raises:
        MissingWeights: the model cannot be loaded.
    """
    model = model or load_digit_model()
    found = np.full(len(digits), -MOST_NATS)
    for index, (slot, digit) in enumerate(zip(slots, digits, strict=True)):
        if len(slot) >= _SHORTEST and float(np.abs(slot).max()) > _QUIETEST:
            found[index] = likelihood_ratios(model.net, mel_picture(slot)[None])[0, digit]
    return found


@torch.no_grad()
def likelihood_ratios(net: DigitNet, pictures: Float32) -> Float64:
    """Log-likelihood ratio of every digit against the mean of all else, `[B, 10]`, for pictures `[B, T, 40]`."""
    share = torch.softmax(net(torch.from_numpy(pictures)).double(), 1)
    share[:, OTHER] *= OTHER_WEIGHT
    rest = (share.sum(1, keepdim=True) - share) / (OTHER - 1 + OTHER_WEIGHT)
    ratios = torch.log(share + 1e-12) - torch.log(rest + 1e-12)
    return np.asarray(ratios[:, :OTHER].clamp(-MOST_NATS, MOST_NATS).numpy())
