"""Turn a voice into the latents that LTX-2's audio stream works on.

Source of the spectrogram's parameters, which no configuration of diffusers holds: `AudioProcessor` of Lightricks'
ltx-core (audio_vae/ops.py): Hann windows of 1024 samples, magnitudes, Slaney's mel scale and norm, log of at least
1e-5. Rate, hop and number of bins are the audio autoencoder's own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torchaudio.functional import resample
from torchaudio.transforms import MelSpectrogram

from cameo.generators.base import RATE_HZ

_WINDOW = 1024
_FLOOR = 1e-5


def log_mel(sound: Tensor, config: Any) -> Tensor:
    """Return the log mel spectrogram `[1, 2, T, M]` of mono sound `[N]` at 16 kHz, the same in both channels."""
    heard = resample(sound.float().cpu(), RATE_HZ, config.sample_rate)
    transform = MelSpectrogram(
        sample_rate=config.sample_rate,
        n_fft=_WINDOW,
        hop_length=config.mel_hop_length,
        f_min=0.0,
        f_max=config.sample_rate / 2,
        n_mels=config.mel_bins,
        power=1.0,
        norm="slaney",
        mel_scale="slaney",
    )
    mel = transform(pad(heard, (0, max(0, _WINDOW - len(heard))))).clamp_min(_FLOOR).log()
    return mel.T.expand(1, config.in_channels, -1, -1)


def encode_sound(pipe: Any, sound: Tensor, seconds: float, device: torch.device) -> Tensor:
    """Encode sound `[N]` (16 kHz; empty is silence) as normalised latents `[1, L, C M']` of that many seconds."""
    vae, config = pipe.audio_vae, pipe.audio_vae.config
    ratio = pipe.audio_vae_temporal_compression_ratio
    length = round(seconds * config.sample_rate / config.mel_hop_length / ratio)  # as LTX2Pipeline counts
    wanted = (length - 1) * ratio + 1 if config.is_causal else length * ratio
    mel = log_mel(sound, config)[:, :, :wanted]
    mel = pad(mel, (0, 0, 0, wanted - mel.shape[2]), value=torch.tensor(_FLOOR).log().item())
    mode = vae.encode(mel.to(device, vae.dtype)).latent_dist.mode().float()
    packed = pipe._pack_audio_latents(mode)
    latents: Tensor = pipe._normalize_audio_latents(packed, vae.latents_mean, vae.latents_std)
    return latents
