"""The latent is linear, keeps most of a picture, and mirrors as pictures do."""

from __future__ import annotations

import pytest
import torch
from scipy.fft import dctn
from torch import Tensor

from cameo.generators.latent import BLOCK, BLOCK_T, BlockDct, dct_matrix
from tests.conftest import RenderedPerson

ALL = 3 * BLOCK_T * BLOCK * BLOCK


@pytest.fixture(scope="module")
def video(person: RenderedPerson) -> Tensor:
    """`[2, 8, 128, 128, 3]` in 0..1."""
    return torch.from_numpy(person.clip.frames[:16].reshape(2, 8, 128, 128, 3)).float() / 255


def test_the_matrix_is_the_orthonormal_dct() -> None:
    matrix = dct_matrix(8)
    assert torch.allclose(matrix @ matrix.T, torch.eye(8), atol=1e-6)
    x = torch.randn(8)
    assert torch.allclose(matrix @ x, torch.from_numpy(dctn(x.numpy(), norm="ortho")), atol=1e-5)


def test_with_every_coefficient_nothing_is_lost(video: Tensor) -> None:
    latent = BlockDct(ALL).fit(video)
    code = latent.encode(video)
    assert code.shape == (2, ALL, 2, 16, 16)
    assert torch.allclose(latent.decode(code), video, atol=1e-3)


def test_160_coefficients_of_768_keep_most_of_a_face(video: Tensor) -> None:
    latent = BlockDct(160).fit(video)
    error = (latent.decode(latent.encode(video)) - video).pow(2).mean()
    assert -10 * torch.log10(error) > 28, "PSNR in dB"
    assert error > 1e-6, "a fifth of the coefficients cannot be all of them"


def test_it_is_linear(video: Tensor) -> None:
    latent = BlockDct(48).fit(video)
    a, b = latent.encode(video[:1]), latent.encode(video[1:])
    assert torch.allclose(latent.encode(0.3 * video[:1] + 0.7 * video[1:]), 0.3 * a + 0.7 * b, atol=1e-4)
    assert torch.allclose(latent.decode(0.5 * a + 0.5 * b), 0.5 * latent.decode(a) + 0.5 * latent.decode(b), atol=1e-4)


def test_codes_have_about_unit_size(video: Tensor) -> None:
    latent = BlockDct(160).fit(video)
    code = latent.encode(video).transpose(0, 1).flatten(1)
    assert float(code.std(1).pow(2).mean().sqrt()) == pytest.approx(1, abs=0.1)
    strong, weak = code.std(1).max(), code.std(1).min()
    assert strong > 2 * weak, "strong coefficients stay stronger"


def test_a_mirrored_code_is_the_code_of_the_mirrored_video(video: Tensor) -> None:
    latent = BlockDct(160).fit(video)
    mirrored = latent.mirror(latent.encode(video))
    assert torch.allclose(mirrored, latent.encode(video.flip(3)), atol=1e-3)
    assert not torch.allclose(mirrored, latent.encode(video), atol=1e-2)
    assert torch.allclose(latent.mirror(mirrored), latent.encode(video), atol=1e-4)
