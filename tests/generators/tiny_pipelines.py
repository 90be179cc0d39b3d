"""Whole pipelines of random weights, made from configurations in seconds: no hub, no file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLHunyuanVideo,
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
    LTX2Pipeline,
    LTX2VideoTransformer3DModel,
    WanPipeline,
    WanTransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaModel,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

from cameo.generators.base import Footage, Motion
from cameo.generators.cogvideox import CogVideoXGenerator
from cameo.generators.hunyuan_video import HunyuanVideoGenerator
from cameo.generators.ltx2 import LTX2Generator
from cameo.generators.pipeline import PipelineGenerator, Shape
from cameo.generators.wan import WanGenerator

SPECIAL = ("<pad>", "</s>", "<unk>", "<bos>")
_SAID = "a person talking to the camera head turned left right looking down dancing monkey"
WORDS = (*SPECIAL, *_SAID.split())
WAN_SHAPE = Shape(fps=25, size=(16, 16), frames=5, steps=1, window=5, side_px=16, grain=16, stride=4, guidance=5.0)
LTX2_SHAPE = Shape(fps=25, size=(32, 32), frames=9, steps=1, window=9, side_px=32, grain=32, stride=8, guidance=3.0)

COG_SHAPE = Shape(fps=25, size=(16, 16), frames=9, steps=1, window=9, side_px=16, grain=16, stride=8, guidance=6.0)


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


def tiny_ltx2(version: str = "2.0", seed: int = 0) -> Any:
    """LTX-2 with two blocks: of the layout of "2.0", or of "2.3"."""
    torch.manual_seed(seed)
    late, width, layers = version != "2.0", 32, 2
    transformer = LTX2VideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        audio_in_channels=4,
        audio_out_channels=4,
        audio_num_attention_heads=2,
        audio_attention_head_dim=4,
        audio_cross_attention_dim=8,
        num_layers=2,
        qk_norm="rms_norm_across_heads",
        caption_channels=width,
        rope_double_precision=False,
        rope_type="split",
        **(_LATE_TRANSFORMER if late else {}),
    )
    pipe = LTX2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_ltx2_autoencoder(),
        audio_vae=_ltx2_sound_autoencoder(),
        text_encoder=_gemma(width, layers),
        tokenizer=tokenizer(16),
        connectors=_connectors(width, layers, late).eval(),
        transformer=transformer.eval(),
        vocoder=_vocoder(),
        processor=None,
        prompt_enhancer=None,
        duration_head=None,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


_LATE_TRANSFORMER = {
    "use_prompt_embeddings": False,
    "cross_attn_mod": True,
    "audio_cross_attn_mod": True,
    "gated_attn": True,
    "audio_gated_attn": True,
    "perturbed_attn": True,
}


def _gemma(width: int, layers: int) -> Any:
    text = Gemma3TextConfig(
        vocab_size=64,
        hidden_size=width,
        intermediate_size=37,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=64,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=3,
    )
    vision = SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    config = Gemma3Config(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        mm_tokens_per_image=4,
        image_token_index=60,
        boi_token_index=61,
        eoi_token_index=62,
    )
    return Gemma3ForConditionalGeneration(config).eval()


def _connectors(width: int, layers: int, late: bool) -> Any:
    return LTX2TextConnectors(
        caption_channels=width,
        text_proj_in_factor=layers + 1,
        video_connector_num_attention_heads=2 if late else 4,
        video_connector_attention_head_dim=8,
        video_connector_num_layers=1,
        video_connector_num_learnable_registers=8 if late else None,
        audio_connector_num_attention_heads=2 if late else 4,
        audio_connector_attention_head_dim=4 if late else 8,
        audio_connector_num_layers=1,
        audio_connector_num_learnable_registers=8 if late else None,
        connector_rope_base_seq_len=32,
        rope_theta=10000.0,
        rope_double_precision=False,
        causal_temporal_positioning=False,
        rope_type="split",
        **({"per_modality_projections": True, "video_hidden_dim": 16, "audio_hidden_dim": 8} if late else {}),
    )


def _ltx2_autoencoder() -> Any:
    made = AutoencoderKLLTX2Video(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        layers_per_block=(1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, True),
        decoder_spatio_temporal_scaling=(True, True, True),
        decoder_inject_noise=(False, False, False, False),
        downsample_type=("spatiotemporal", "spatiotemporal", "spatiotemporal"),
        upsample_residual=(False, False, False),
        upsample_factor=(1, 1, 1),
        timestep_conditioning=False,
        patch_size=1,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    )
    made.use_framewise_encoding = made.use_framewise_decoding = False
    return made.eval()


def _ltx2_sound_autoencoder() -> Any:
    made = AutoencoderKLLTX2Audio(
        base_channels=4,
        output_channels=2,
        ch_mult=(1, 1, 1),
        num_res_blocks=1,
        attn_resolutions=None,
        in_channels=2,
        resolution=32,
        latent_channels=2,
        norm_type="pixel",
        causality_axis="height",
        dropout=0.0,
        mid_block_add_attention=False,
        sample_rate=16000,
        mel_hop_length=160,
        is_causal=True,
        mel_bins=8,
    )
    return made.eval()


def _vocoder() -> Any:
    made = LTX2Vocoder(
        in_channels=16,
        hidden_channels=32,
        out_channels=2,
        upsample_kernel_sizes=[16, 20],
        upsample_factors=[8, 20],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
        leaky_relu_negative_slope=0.1,
        output_sampling_rate=16000,
    )
    return made.eval()


def tiny_ltx2_generator(version: str = "2.0", seed: int = 0) -> LTX2Generator:
    """Wrap it with a shape that fits it."""
    return LTX2Generator(tiny_ltx2(version, seed), LTX2_SHAPE)


def tiny_cogvideox(seed: int = 0, rotary: bool = True) -> Any:
    """CogVideoX with two blocks of width 32."""
    torch.manual_seed(seed)
    words = T5EncoderModel(T5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4))
    vae = AutoencoderKLCogVideoX(
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
    )
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=32,
        num_layers=2,
        sample_width=2,
        sample_height=2,
        sample_frames=9,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=24,
        use_rotary_positional_embeddings=rotary,
    )
    pipe = CogVideoXPipeline(
        tokenizer=tokenizer(),
        text_encoder=words.eval(),
        vae=vae.eval(),
        transformer=transformer.eval(),
        scheduler=CogVideoXDDIMScheduler(prediction_type="v_prediction"),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def tiny_hunyuan_video(seed: int = 0) -> Any:
    """HunyuanVideo with one block of each kind."""
    torch.manual_seed(seed)
    llama = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=37, num_hidden_layers=3, num_attention_heads=4, pad_token_id=0
    )
    clip = CLIPTextConfig(
        vocab_size=64,
        hidden_size=8,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=8,
        bos_token_id=3,
        eos_token_id=1,
        pad_token_id=0,
    )
    vae = AutoencoderKLHunyuanVideo(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        mid_block_add_attention=True,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4,
        up_block_types=("HunyuanVideoUpBlock3D",) * 4,
    )
    transformer = HunyuanVideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=1,
        patch_size_t=1,
        guidance_embeds=True,
        text_embed_dim=16,
        pooled_projection_dim=8,
        rope_axes_dim=(2, 4, 4),
    )
    pipe = HunyuanVideoPipeline(
        text_encoder=LlamaModel(llama).eval(),
        tokenizer=tokenizer(400),
        transformer=transformer.eval(),
        vae=vae.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder_2=CLIPTextModel(clip).eval(),
        tokenizer_2=tokenizer(77),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def tiny_footage(side: int, frames: int = 60, heard: bool = True, seed: int = 1) -> Footage:
    """Noise that looks straight ahead and, if it is heard, hisses."""
    g = torch.Generator().manual_seed(seed)
    points = torch.zeros(frames, 10, 2)
    points[:, :3] = torch.tensor([[-0.3, -0.2], [0.3, -0.2], [0.0, 0.1]])
    sound = torch.randn(frames * 640, generator=g) * 0.1 if heard else torch.zeros(0)
    return Footage(
        frames=torch.randint(0, 255, (frames, side, side, 3), dtype=torch.uint8, generator=g),
        motion=Motion(points, torch.ones(frames)),
        usable=torch.ones(frames, dtype=torch.bool),
        fps=25.0,
        sound=sound,
        speaker=torch.nn.functional.normalize(torch.randn(32, generator=g), dim=0) if heard else None,
    )


FAMILIES: dict[str, Callable[[], PipelineGenerator]] = {
    "wan": tiny_wan_generator,
    "ltx2.0": lambda: tiny_ltx2_generator("2.0"),
    "ltx2.3": lambda: tiny_ltx2_generator("2.3"),
    "hunyuanvideo": lambda: HunyuanVideoGenerator(tiny_hunyuan_video(), WAN_SHAPE),
    "cogvideox": lambda: CogVideoXGenerator(tiny_cogvideox(), COG_SHAPE),
}
