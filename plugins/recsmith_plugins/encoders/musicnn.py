"""Sounds as what a network heard that learnt to tag music: musicnn, frozen.

The weights come inside the wheel `musicnn` (ISC), whose checkpoints are read as they are: the package, which imports
TensorFlow, is never imported; nothing is downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FeatureMatrix, FloatArray, Role, State
from recsmith.contracts.domains import Categorical
from recsmith.contracts.errors import LackingError, PluginError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec
from recsmith_plugins.blocks.audio_files import Excerpt, encode_sounds
from recsmith_plugins.blocks.spectra import looped, mel_spectra
from recsmith_plugins.blocks.tensor_bundle import read_bundle

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from torch import Tensor

RATE, SIZE, HOP, BANDS = 16_000, 512, 256, 96  # samples a second, in a frame, between frames; mel bands
PATCH = 187  # frames that the network hears at once: 3 seconds
EPSILON = 1e-3  # of batch normalisation in TensorFlow
WIDTHS = {"penultimate": 200, "mean_pool": 753, "max_pool": 753}


class MusicnnConfig(Config):
    """Settings. `tags`: the songs that it learnt from, the Million Song Dataset or MagnaTagATune.

    `layer`: what is taken from the network, as the package calls it; "penultimate" is normalised to zero mean and unit
    variance over the songs it learnt from. `seconds` of the middle of each sound are heard.
    """

    tags: Annotated[str, Categorical(("msd", "mtt"))] = "msd"
    layer: Literal["penultimate", "mean_pool", "max_pool"] = "penultimate"
    seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0


@dataclass
class Musicnn:
    """The layer's activations, [R, 200] or [R, 753]: the mean over whole patches of three seconds, one after the other.

    A sound that is shorter than one is played again until it fills it, as in the training of the network. A file that
    is missing or cannot be read is a row of zeros. The state holds the weights (3 MB): an encoder that loads it needs
    no other file.
    """

    config: MusicnnConfig
    device: str
    weights: dict[str, Tensor] | None = None
    faults: dict[str, str] = field(default_factory=dict)  # of the last `features`: path -> why it could not be read

    def fit(self, column: Column) -> None:
        """Read the weights; nothing to learn.

        Raises:
            PluginError: the package musicnn is not installed, or its files are damaged.
        """
        self._ready()

    def _ready(self) -> dict[str, Tensor]:
        if self.weights is None:
            self._take(read_weights(self.config.tags))
        return self.weights or {}

    def _take(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        import torch

        self.weights = {name: torch.tensor(arrays[name], device=self.device) for name in NAMES}

    def features(self, column: Column) -> FeatureMatrix:
        """The activations, one patch at a time: three times as fast as all of a sound, which no cache holds.

        Raises:
            PluginError: the package musicnn or soundfile is not installed, or the weights are damaged.
        """
        import torch

        weights, layer = self._ready(), self.config.layer

        def encode(samples: FloatArray) -> FloatArray:
            heard = torch.from_numpy(patches(samples)).to(self.device)
            found = torch.cat([layers(heard[at : at + 1], weights)[layer] for at in range(len(heard))])
            mean: FloatArray = found.mean(dim=0).numpy(force=True)
            return mean

        with torch.inference_mode():
            excerpt = Excerpt(RATE, self.config.seconds)
            features, self.faults = encode_sounds(column, excerpt, WIDTHS[layer], encode)
        return features

    def state(self) -> State:
        """The weights."""
        return State({}, {name: array.numpy(force=True) for name, array in self._ready().items()})

    def load(self, state: State) -> None:
        """Take the weights."""
        self._take(state.arrays)


def patches(samples: FloatArray) -> FloatArray:
    """The input of the network, [patches, 187, 96]: log10(1 + 10000 x power) of mel bands, whole patches only."""
    mel = np.log10(10_000 * mel_spectra(samples, RATE, SIZE, HOP, BANDS) + 1)
    whole = max(1, len(mel) // PATCH)
    return looped(mel, whole * PATCH).reshape(whole, PATCH, BANDS)


# --- its weights ------------------------------------------------------------------------------------------------------


def _numbered(kind: str, number: int) -> str:
    """As TensorFlow names the layers of a kind."""
    return f"{kind}_{number}" if number else kind


NORM = ("moving_mean", "moving_variance", "gamma", "beta")
PARTS = (("batch_normalization", 11, NORM), ("conv2d", 8, ("kernel", "bias")), ("dense", 2, ("kernel", "bias")))
NAMES = [f"{_numbered(kind, number)}/{part}" for kind, many, parts in PARTS for number in range(many) for part in parts]


@cache
def read_weights(tags: str) -> Mapping[str, FloatArray]:
    """The arrays `NAMES` of the installed wheel's network, never to be written to.

    Raises:
        PluginError: the package is not installed, or its files are damaged.
    """
    found = find_spec("musicnn")  # finds it without running it
    if found is None or not found.submodule_search_locations:
        raise PluginError("the encoder musicnn needs the package musicnn: pip install --no-deps musicnn.")
    return read_bundle(Path(found.submodule_search_locations[0]) / f"{tags.upper()}_musicnn" / ".index", NAMES)


# --- the network ------------------------------------------------------------------------------------------------------


def layers(heard: Tensor, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Activations of the layers of `WIDTHS`, [n, width], and the logits of the 50 "tags", for patches [n, 187, 96]."""
    import torch

    found = _front(_norm(heard[:, None], 0, weights), weights)  # [n, 561, T]
    found = _middle(found, weights)  # [n, 753, T]
    largest, mean = found.amax(dim=2), found.mean(dim=2)
    pooled = torch.stack([largest, mean], dim=2).flatten(1)  # [n, 1506]
    penultimate = _norm(torch.relu(_dense(_norm(pooled, 9, weights), 0, weights)), 10, weights)
    tags = _dense(penultimate, 1, weights)
    return {"penultimate": penultimate, "mean_pool": mean, "max_pool": largest, "tags": tags}


def _front(x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """Two convolutions over timbre, three over time, each taken at its loudest band: [n, 1, T, 96] -> [n, 561, T]."""
    import torch
    from torch.nn.functional import pad

    found = []
    for number, length in enumerate((7, 7, 128, 64, 32)):
        before = (length - 1) // 2
        padded = pad(x, (0, 0, before, length - 1 - before))
        found.append(_norm(torch.relu(_convolved(padded, number, weights)), number + 1, weights).amax(dim=3))
    return torch.cat(found, dim=1)


def _middle(x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """Three convolutions over time, the second and third beside what they read, joined: [n, 561, T] -> [n, 753, T]."""
    import torch
    from torch.nn.functional import pad

    found, above = [x], x[:, None].transpose(2, 3)  # [n, 1, T, channels]
    for number in (5, 6, 7):
        convolved = torch.relu(_convolved(pad(above, (0, 0, 3, 3)), number, weights))  # [n, 64, T, 1]
        normed = _norm(convolved, number + 1, weights).transpose(1, 3)  # [n, 1, T, 64]
        above = normed if number == 5 else normed + above  # noqa: PLR2004 - the first adapts the width
        found.append(above[:, 0].transpose(1, 2))
    return torch.cat(found, dim=1)


def _convolved(x: Tensor, number: int, weights: Mapping[str, Tensor]) -> Tensor:
    from torch.nn.functional import conv2d

    name = _numbered("conv2d", number)
    kernel = weights[f"{name}/kernel"].permute(3, 2, 0, 1)  # TensorFlow has [height, width, in, out]
    return conv2d(x, kernel, weights[f"{name}/bias"])


def _norm(x: Tensor, number: int, weights: Mapping[str, Tensor]) -> Tensor:
    from torch.nn.functional import batch_norm

    mean, variance, gamma, beta = (weights[f"{_numbered('batch_normalization', number)}/{part}"] for part in NORM)
    return batch_norm(x, mean, variance, gamma, beta, eps=EPSILON)


def _dense(x: Tensor, number: int, weights: Mapping[str, Tensor]) -> Tensor:
    name = _numbered("dense", number)
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def build(config: MusicnnConfig, context: BuildContext) -> Musicnn:
    """An encoder that has not read its weights yet."""
    return Musicnn(config, context.device)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Sounds by musicnn.

    Raises:
        LackingError: the weights are not installed.
    """
    if find_spec("musicnn") is None:
        raise LackingError("it needs the weights in the package musicnn: pip install --no-deps musicnn")
    return [
        EncoderSpec(
            name="musicnn",
            api_version=1,
            source=(
                "Pons and Serra 2019, musicnn: Pre-trained convolutional neural networks for music audio tagging, "
                "https://arxiv.org/abs/1909.06654"
            ),
            config=MusicnnConfig,
            build=build,
            roles=frozenset[Role]({"audio"}),
            fitted=False,
            cost="minutes",
        )
    ]
