"""Write a folder as SpeechBrain's `spkrec-ecapa-voxceleb` is laid out, with random weights."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from cameo.embed.voice_ecapa import FILE

# The published model's file and front end; `write_model` fills in the widths.
HYPERPARAMS = """
n_mels: 80
pretrained_path: nowhere
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: {channels}
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: {attention}
    lin_neurons: {size}
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: {size}
    out_neurons: 10
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
"""


def write_model(folder: Path, seed: int = 0, width: int = 1024, size: int = 192) -> Path:
    """Write weights and hyperparameters; `width` and `size` are the published model's unless others are given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SpeechBrain, not of ours
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    torch.manual_seed(seed)
    channels, attention = [width] * 4 + [3 * width], width // 8
    network = ECAPA_TDNN(
        80, channels=channels, kernel_sizes=[5, 3, 3, 3, 1], dilations=[1, 2, 3, 4, 1], attention_channels=attention,
        lin_neurons=size,
    )  # fmt: skip
    state = network.state_dict()
    # Running statistics as training leaves them, so that evaluation mode is told from training mode.
    for name, value in state.items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.2)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 2)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / FILE)
    (folder / "hyperparams.yaml").write_text(HYPERPARAMS.format(channels=channels, attention=attention, size=size))
    return folder
