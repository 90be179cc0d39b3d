"""Lessons of the reference generator: the face counts more, and other people stay what they are to the base."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from cameo.adapt.export import lora_config
from cameo.errors import MissingExtra
from cameo.generators.base import Footage
from cameo.generators.lora import remove_lora
from cameo.generators.quantised import eight_bit_config
from cameo.generators.reference import ReferenceGenerator, load_reference
from cameo.generators.reference_training import TrainingChunks

RANK = 4


@pytest.fixture(scope="module")
def adapted() -> Iterator[ReferenceGenerator]:
    """The shipped network with a LoRA that does nothing yet."""
    shipped = load_reference()
    torch.manual_seed(0)
    shipped.denoiser.add_adapter(lora_config(shipped.lora_targets("face"), RANK), adapter_name="made")
    yield shipped
    remove_lora(shipped.denoiser)


@pytest.fixture(scope="module")
def lessons(adapted: ReferenceGenerator, footage: Footage) -> TrainingChunks:
    return adapted.lessons(footage, adapted.fit_identity(footage), 0.35, 3.0)


def test_other_people_stay_what_they_are(adapted: ReferenceGenerator, lessons: TrainingChunks) -> None:
    assert lessons.prior_loss(2).item() == 0, "a LoRA that does nothing changes nobody"
    lora = {name: p for name, p in adapted.denoiser.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, p in lora.items():
            if "lora_B" in name:
                p.normal_(std=0.05)
    loss = lessons.prior_loss(2)
    assert loss.item() > 0
    loss.backward()
    assert any(p.grad is not None and p.grad.any() for p in lora.values())
    assert all(p.requires_grad for p in lora.values()), "trainable again after the base has spoken"
    optimiser = torch.optim.AdamW(lora.values(), lr=3e-3)
    values = []
    for _ in range(6):
        torch.manual_seed(1)
        values.append(lessons.prior_loss(2))
        optimiser.zero_grad()
        values[-1].backward()
        optimiser.step()
    assert float(values[-1].detach()) < 0.8 * float(values[0].detach())


def test_the_face_counts_more(adapted: ReferenceGenerator, lessons: TrainingChunks) -> None:
    weights = lessons._weights
    assert weights.shape == (len(lessons), 1, 2, 8, 8)
    middle, corner = weights[:, 0, :, 3:5, 3:5].mean(), weights[:, 0, :, 0, 0].mean()
    assert float(middle) > 1.5 * float(corner)


def test_eight_bits_need_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cameo.generators.quantised.find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match="bitsandbytes"):
        eight_bit_config()
