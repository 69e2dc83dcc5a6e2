"""Pictures read by a small convolutional network that learns with the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FloatArray, Role, State
from recsmith.contracts.domains import Categorical, Int
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import GRADIENTS, EncoderSpec
from recsmith_plugins.blocks.image_files import encode_pictures

if TYPE_CHECKING:
    from torch import Tensor, nn

    from recsmith.contracts.plugins import BuildContext
    from recsmith_plugins.blocks.image_files import Pixels

GROUP = 8  # channels that are normalised together
REACH = 8  # a picture is moved by at most this part of its side
BRIGHTNESS = 0.2  # largest change of brightness, as a share
OUT_STD = 0.05  # of the elements of the first vectors


class ImageCNNConfig(Config):
    """Settings."""

    size: Annotated[int, Categorical((24, 32, 48))] = 32  # pixels on a side that a picture is brought to
    channels: Annotated[int, Categorical((16, 32, 64))] = 32  # of the first block; each further one has twice as many
    blocks: Annotated[int, Int(2, 4)] = 3  # each halves the side
    augment: Annotated[bool, Categorical((True, False))] = True  # mirror, move and brighten at random in training


def network(config: ImageCNNConfig, width: int) -> nn.Module:
    """Pixels [n, size * size * 3] to vectors [n, width].

    Blocks of convolution with stride 2, group norm and GELU, then the average over places, layer norm and a linear
    layer. No norm looks at other pictures: a vector does not depend on the rest of a batch.
    """
    from torch import nn

    blocks: list[nn.Module] = []
    inputs = 3
    for outputs in (config.channels << block for block in range(config.blocks)):
        blocks += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.GroupNorm(outputs // GROUP, outputs), nn.GELU()]
        inputs = outputs
    out = nn.Linear(inputs, width)
    nn.init.normal_(out.weight, std=OUT_STD / inputs**0.5)
    nn.init.zeros_(out.bias)
    pooled = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(inputs))
    return nn.Sequential(_input(config), *blocks, *pooled, out)


def _input(config: ImageCNNConfig) -> nn.Module:
    import torch
    from torch import nn

    size = config.size

    class Input(nn.Module):
        """Pixels [n, size * size * 3] to pictures [n, 3, size, size], in training each one changed at random."""

        def forward(self, x: Tensor) -> Tensor:
            x = x.view(-1, size, size, 3)
            if self.training and config.augment:
                x = self.changed(x)
            return (x - 0.5).mul(4.0).permute(0, 3, 1, 2)

        def changed(self, x: Tensor) -> Tensor:
            n, reach = len(x), size // REACH
            moved = torch.randint(-reach, reach + 1, (n, 2, 1), device=x.device)
            place = (moved + torch.arange(size, device=x.device)).clamp(0, size - 1)  # [n, 2, size]: rows, columns
            mirrored = torch.rand(n, 1, device=x.device) < 0.5  # noqa: PLR2004 - one in two
            down, right = place[:, 0], torch.where(mirrored, size - 1 - place[:, 1], place[:, 1])
            picture = torch.arange(n, device=x.device)
            light = 1.0 + BRIGHTNESS * (2.0 * torch.rand(n, 1, 1, 1, device=x.device) - 1.0)
            return x[picture[:, None, None], down[:, :, None], right[:, None, :]] * light

    return Input()


@dataclass
class ImageCNN:
    """Pixels as features, [R, size * size * 3]: (value + 1) / 256, so that no known one is 0.

    Row by row from the top, three channels to a pixel. The whole picture counts, stretched to a square.
    """

    config: ImageCNNConfig
    faults: dict[str, str] = field(default_factory=dict)  # of the last `features`: path -> why it could not be read

    def fit(self, column: Column) -> None:
        """Nothing to learn before the model does."""

    def features(self, column: Column) -> FloatArray:
        """The pixels."""
        size = self.config.size
        features, self.faults = encode_pictures(column, size, size * size * 3, _scaled)
        return features

    def module(self, width: int) -> nn.Module:
        """A fresh network (`TrainedEncoder`)."""
        return network(self.config, width)

    def state(self) -> State:
        """Nothing to keep: the weights are the model's."""
        return State()

    def load(self, state: State) -> None:
        """Nothing to take."""


def _scaled(pixels: Pixels) -> FloatArray:
    return (pixels.ravel() + np.float32(1)) / np.float32(256)


def build(config: ImageCNNConfig, context: BuildContext) -> ImageCNN:
    """An encoder."""
    return ImageCNN(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Pictures by a network of their own."""
    roles: frozenset[Role] = frozenset({"image"})
    return [
        EncoderSpec(
            name="image_cnn",
            api_version=1,
            source=(
                "LeCun, Bottou, Bengio and Haffner 1998, doi:10.1109/5.726791; Wu and He 2018, "
                "https://arxiv.org/abs/1803.08494 (group norm)"
            ),
            config=ImageCNNConfig,
            build=build,
            roles=roles,
            needs=frozenset({GRADIENTS}),
            fitted=False,
            cost="minutes",
        )
    ]
