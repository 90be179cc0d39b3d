"""Pipelines of random weights in three sizes: what they cost is real, what they draw is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from cameo.generators.pipeline import Shape

SPECIAL = ("<pad>", "</s>", "<unk>", "<bos>")
_SAID = "a person talking to the camera head turned left right looking down dancing monkey"
WORDS = (*SPECIAL, *_SAID.split())


@dataclass(frozen=True, slots=True)
class WanSize:
    """Say how large: heads of a width and blocks of the transformer, width of the autoencoder and of the words."""

    heads: int
    head_dim: int
    blocks: int
    vae_dim: int
    words_dim: int
    word_blocks: int
    shape: Shape


def _shape(side: int, frames: int) -> Shape:
    return Shape(16, (side, side), frames, 4, frames, side, 16, 4, 5.0)


# "mid" has the transformer and the autoencoder of Wan 2.1 1.3B; of its text encoder's 24 blocks it has 4.
WAN = {
    "tiny": WanSize(2, 12, 2, 3, 32, 2, _shape(16, 5)),
    "small": WanSize(4, 32, 4, 16, 128, 4, _shape(64, 9)),
    "mid": WanSize(12, 128, 30, 96, 4096, 4, _shape(480, 17)),
}


def random_tokenizer(longest: int = 512) -> PreTrainedTokenizerFast:
    """One token a word."""
    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    # An end is appended so that "" has a length.
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "bos_token": "<bos>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=longest, **names)


def random_wan(size: str, device: str, dtype: torch.dtype) -> Any:
    """Make a `WanPipeline`."""
    is_, seed = WAN[size], 0
    torch.manual_seed(seed)
    with torch.device(device):
        vae = AutoencoderKLWan(base_dim=is_.vae_dim, z_dim=16)
        heads = max(2, is_.words_dim // 64)
        words = UMT5EncoderModel(
            UMT5Config(
                vocab_size=64, d_model=is_.words_dim, d_kv=64, d_ff=2 * is_.words_dim, num_layers=is_.word_blocks,
                num_heads=heads,
            )
        )  # fmt: skip
        transformer = WanTransformer3DModel(
            num_attention_heads=is_.heads,
            attention_head_dim=is_.head_dim,
            text_dim=is_.words_dim,
            ffn_dim=6 * is_.heads * is_.head_dim,
            num_layers=is_.blocks,
            rope_max_seq_len=1024,
        )
    pipe = WanPipeline(
        tokenizer=random_tokenizer(),
        text_encoder=words.to(dtype).eval(),
        vae=vae.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        transformer=transformer.to(dtype).eval(),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
