"""Whole pipelines of random weights, made from configurations in seconds: no hub, no file."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from cameo.generators.pipeline import Shape
from cameo.generators.wan import WanGenerator

SPECIAL = ("<pad>", "</s>", "<unk>", "<bos>")
_SAID = "a person talking to the camera head turned left right looking down dancing monkey"
WORDS = (*SPECIAL, *_SAID.split())
WAN_SHAPE = Shape(fps=25, size=(16, 16), frames=5, steps=2, window=5, side_px=16, grain=16, stride=4, guidance=5.0)


def tokenizer(longest: int = 64) -> PreTrainedTokenizerFast:
    """One token a word."""
    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    # An end is appended so that "" has a length.
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        bos_token="<bos>",
        model_max_length=longest,
    )


def tiny_wan(seed: int = 0) -> Any:
    """Wan with two blocks of width 24."""
    torch.manual_seed(seed)
    vae = AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    words = UMT5EncoderModel(UMT5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4))
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=32,
        freq_dim=256,
        ffn_dim=32,
        num_layers=2,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )
    pipe = WanPipeline(
        tokenizer=tokenizer(),
        text_encoder=words.eval(),
        vae=vae.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        transformer=transformer.eval(),
        transformer_2=None,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def tiny_wan_generator(seed: int = 0) -> WanGenerator:
    """Wrap it with a shape that fits it."""
    return WanGenerator(tiny_wan(seed), WAN_SHAPE)
