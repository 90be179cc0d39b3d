"""The loop that a user writes after diffusers' DreamBooth-LoRA scripts: everything is encoded in every step.

Source: `examples/dreambooth` and `examples/cogvideo` of huggingface/diffusers: a LoRA on the attention of the
transformer, AdamW, clipped gradients, latents from the autoencoder and words from the text encoder in each step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from diffusers.training_utils import compute_density_for_timestep_sampling
from peft import LoraConfig
from torch import Tensor

PROMPT = "a sks person talking to the camera"


def train_wan(pipe: Any, clips: Tensor, targets: str, rank: int, batch: int) -> Iterator[float]:
    """Train on clips `[N, 3, T, H, W]` in -1..1 for ever; yields the loss of each step."""
    transformer, vae = pipe.transformer, pipe.vae
    transformer.requires_grad_(False)
    transformer.add_adapter(
        LoraConfig(r=rank, lora_alpha=rank, target_modules=targets, init_lora_weights="gaussian"), adapter_name="user"
    )
    params = [p for p in transformer.parameters() if p.requires_grad]
    for p in params:
        p.data = p.data.float()
    optimiser = torch.optim.AdamW(params, lr=1e-4)
    device, dtype = next(transformer.parameters()).device, transformer.dtype
    mean = torch.tensor(vae.config.latents_mean, device=device).view(1, -1, 1, 1, 1)
    deviation = torch.tensor(vae.config.latents_std, device=device).view(1, -1, 1, 1, 1)
    while True:
        some = clips[torch.randint(0, len(clips), (batch,))].to(device, vae.dtype)
        with torch.no_grad():
            clean = (vae.encode(some).latent_dist.sample().float() - mean) / deviation
            words, _ = pipe.encode_prompt([PROMPT] * batch, do_classifier_free_guidance=False, device=device)
        even = compute_density_for_timestep_sampling("logit_normal", batch, logit_mean=0.0, logit_std=1.0).to(device)
        sigma = 3.0 * even / (1 + 2.0 * even)
        at, noise = sigma.view(-1, 1, 1, 1, 1), torch.randn_like(clean)
        noisy = ((1 - at) * clean + at * noise).to(dtype)
        made = transformer(
            hidden_states=noisy, timestep=sigma * 1000, encoder_hidden_states=words.to(dtype), return_dict=False
        )[0]
        loss = torch.nn.functional.mse_loss(made.float(), noise - clean)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        yield float(loss.detach())
