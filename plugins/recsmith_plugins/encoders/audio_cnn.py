"""Sounds read by a small convolutional network that learns with the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FloatArray, Role, State
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import GRADIENTS, EncoderSpec
from recsmith_plugins.blocks.audio_files import Excerpt, encode_sounds
from recsmith_plugins.blocks.spectra import decibels, looped, mel_spectra

if TYPE_CHECKING:
    from torch import Tensor, nn

    from recsmith.contracts.plugins import BuildContext

RATE, SIZE, HOP = 16_000, 2_048, 1_024  # samples a second, in a frame, between frames
BANDS, FRAMES = 48, 96  # of a picture of a sound: 0 to 8 kHz, 6.1 seconds
QUIETEST, SCALE = -110.0, 50.0  # dB that would be 0, and dB in 1: silence, at -100 dB, is 0.2, and music 1 to 2.5
MIDDLE, SPREAD = 1.6, 0.4  # of what is fed to the network, roughly
GROUP = 8  # channels that are normalised together
OUT_STD = 0.05  # of the elements of the first vectors


class AudioCNNConfig(Config):
    """Settings. Only what is learnt is searched: all of them read the same features."""

    channels: Annotated[int, Categorical((8, 16, 32))] = 16  # of the first block; each further one has twice as many
    blocks: Annotated[int, Int(2, 4)] = 3  # each halves bands and frames
    dropout: Annotated[float, Float(0.0, 0.5)] = 0.1  # of what the last block found
    mask: Annotated[float, Float(0.0, 0.4)] = 0.1  # largest share of bands, and of frames, that is hidden in training


def network(config: AudioCNNConfig, width: int) -> nn.Module:
    """Features [n, BANDS * FRAMES] to vectors [n, width].

    Blocks of convolution with stride 2, group norm and GELU, the average over time (bands are kept apart: high is not
    low), layer norm and a linear layer. No norm looks at other sounds: a vector does not depend on the rest of a batch.
    """
    from torch import nn

    blocks: list[nn.Module] = []
    inputs = 1
    for outputs in (config.channels << block for block in range(config.blocks)):
        blocks += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.GroupNorm(outputs // GROUP, outputs), nn.GELU()]
        inputs = outputs
    bands = BANDS >> config.blocks
    out = nn.Linear(inputs * bands, width)
    nn.init.normal_(out.weight, std=OUT_STD / (inputs * bands) ** 0.5)
    nn.init.zeros_(out.bias)
    pooled = (nn.AdaptiveAvgPool2d((bands, 1)), nn.Flatten(), nn.LayerNorm(inputs * bands), nn.Dropout(config.dropout))
    return nn.Sequential(_input(config), *blocks, *pooled, out)


def _input(config: AudioCNNConfig) -> nn.Module:
    import torch
    from torch import nn

    class Input(nn.Module):
        """Features [n, BANDS * FRAMES] to pictures [n, 1, BANDS, FRAMES], in training with a strip each way hidden."""

        def forward(self, x: Tensor) -> Tensor:
            x = x.view(-1, 1, BANDS, FRAMES).sub(MIDDLE).div(SPREAD)
            if self.training and config.mask > 0.0:
                mean = x.mean(dim=(2, 3), keepdim=True)
                hidden = strip(x, BANDS).unsqueeze(2) | strip(x, FRAMES).unsqueeze(1)
                x = torch.where(hidden.unsqueeze(1), mean, x)
            return x

    def strip(x: Tensor, size: int) -> Tensor:
        """A run of up to `mask` of the places, anywhere, for each sound: [n, size] of bool (SpecAugment)."""
        length, start = torch.rand(2, len(x), 1, device=x.device)
        length = length * config.mask * size
        start = start * (size - length)
        place = torch.arange(size, device=x.device) + 0.5
        inside: Tensor = (place > start) & (place < start + length)
        return inside

    return Input()


@dataclass
class AudioCNN:
    """Levels of mel bands as features, [R, BANDS * FRAMES], band by band from the lowest; no known one is 0.

    Of the middle 6.1 seconds of a sound; a shorter one is played again until it fills them. A file that is missing or
    cannot be read is a row of zeros.
    """

    config: AudioCNNConfig
    faults: dict[str, str] = field(default_factory=dict)  # of the last `features`: path -> why it could not be read

    def fit(self, column: Column) -> None:
        """Nothing to learn before the model does."""

    def features(self, column: Column) -> FloatArray:
        """The levels."""
        excerpt = Excerpt(RATE, FRAMES * HOP / RATE)
        features, self.faults = encode_sounds(column, excerpt, BANDS * FRAMES, _levels)
        return features

    def module(self, width: int) -> nn.Module:
        """A fresh network (`TrainedEncoder`)."""
        return network(self.config, width)

    def state(self) -> State:
        """Nothing to keep: the weights are the model's."""
        return State()

    def load(self, state: State) -> None:
        """Nothing to take."""


def _levels(samples: FloatArray) -> FloatArray:
    levels = decibels(mel_spectra(samples, RATE, SIZE, HOP, BANDS), below=None)  # [T, BANDS]
    scaled: FloatArray = (looped(levels, FRAMES).T.ravel() - np.float32(QUIETEST)) / np.float32(SCALE)
    return scaled


def build(config: AudioCNNConfig, context: BuildContext) -> AudioCNN:
    """An encoder."""
    return AudioCNN(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Sounds by a network of their own."""
    roles: frozenset[Role] = frozenset({"audio"})
    return [
        EncoderSpec(
            name="audio_cnn",
            api_version=1,
            source=(
                "van den Oord, Dieleman and Schrauwen 2013, Deep content-based music recommendation; Park et al. 2019, "
                "https://arxiv.org/abs/1904.08779 (mask)"
            ),
            config=AudioCNNConfig,
            build=build,
            roles=roles,
            needs=frozenset({GRADIENTS}),
            fitted=False,
            cost="hours",
        )
    ]
