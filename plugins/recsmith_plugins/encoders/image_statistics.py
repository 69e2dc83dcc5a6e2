"""Pictures as statistics of their colours and edges: nothing is learnt, and each number has a meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FloatArray, Role, State
from recsmith.contracts.domains import Categorical
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import EncoderSpec
from recsmith_plugins.blocks.image_files import encode_pictures

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, IntArray
    from recsmith.contracts.plugins import BuildContext
    from recsmith_plugins.blocks.image_files import Pixels

SIDE = 64  # pixels that a picture is brought to
CHANNELS = ("red", "green", "blue")
LEVELS = 8  # bins of each channel
HUES, SATURATIONS, VALUES = 12, 4, 4
ANGLES = 9  # bins of an edge's direction, 20 degrees each
BLOCK = 2  # cells on a side whose edges are measured against each other
LARGEST_SHARE = 0.2  # of one bin in its block
LUMA = np.array([0.299, 0.587, 0.114])
TINY = 1e-5


class ImageStatisticsConfig(Config):
    """Settings."""

    parts: Annotated[str, Categorical(("all", "colours", "edges"))] = "all"
    cells: Annotated[int, Categorical((2, 4, 8))] = 4  # on a side: how finely edges are located


def moments(pixels: Pixels) -> DoubleArray:
    """Mean, deviation and cube root of the third central moment of each channel, [9], channels in 0 to 1.

    Divided by the square root of 3, so that the length is about 1 at most.
    """
    values = _channels(pixels)
    mean = values.mean(axis=1)
    apart = values - mean[:, None]
    squares = apart * apart
    skew = np.cbrt((squares * apart).mean(axis=1))
    found: DoubleArray = np.stack([mean, np.sqrt(squares.mean(axis=1)), skew], axis=1).ravel() / np.sqrt(3)
    return found


def rgb_histogram(pixels: Pixels) -> DoubleArray:
    """Square roots of the shares of pixels by the level of each channel, [3 x LEVELS]; of length 1."""
    counts = [np.bincount(channel, minlength=LEVELS) for channel in (pixels.reshape(-1, 3) // (256 // LEVELS)).T]
    return np.sqrt(np.concatenate(counts) / (3 * SIDE**2))


def hsv_histogram(pixels: Pixels) -> DoubleArray:
    """The same by hue, saturation and value, [HUES + SATURATIONS + VALUES]; its length is 1 at most.

    A pixel counts for its hue by its chroma (largest less smallest channel), so greys count for none.
    """
    values = _channels(pixels)
    most = values.max(axis=0)
    chroma = most - values.min(axis=0)
    saturation = np.divide(chroma, most, out=np.zeros_like(most), where=most > 0)
    hue = _bins(_hue(values, most, chroma), HUES)
    counts = (
        np.bincount(hue, weights=chroma, minlength=HUES),
        np.bincount(_bins(saturation, SATURATIONS), minlength=SATURATIONS),
        np.bincount(_bins(most, VALUES), minlength=VALUES),
    )
    return np.sqrt(np.concatenate(counts) / (3 * SIDE**2))


def _channels(pixels: Pixels) -> DoubleArray:
    """Red, green and blue of every pixel, [3, n], in 0 to 1."""
    return np.ascontiguousarray(pixels.reshape(-1, 3).T) / 255


def _hue(values: DoubleArray, most: DoubleArray, chroma: DoubleArray) -> DoubleArray:
    """The hue, 0 to 1, of colours [3, n]: 0 is red, a third green; of greys 0."""
    red, green, blue = values
    apart = np.where(chroma > 0, chroma, 1.0)
    sixth = np.where(most == red, (green - blue) / apart % 6, 0.0)
    sixth = np.where((most == green) & (most != red), (blue - red) / apart + 2, sixth)
    sixth = np.where((most == blue) & (most != red) & (most != green), (red - green) / apart + 4, sixth)
    hue: DoubleArray = sixth / 6
    return hue


def _bins(values: DoubleArray, count: int) -> IntArray:
    """Which of `count` equal parts of 0 to 1 each value lies in."""
    return np.minimum(values * count, count - 1).astype(np.int32)


def edges(pixels: Pixels, cells: int) -> DoubleArray:
    """Histograms of oriented gradients of the luma, [(cells - 1)^2 x BLOCK^2 x ANGLES]; its length is 1 at most.

    As skimage.feature.hog with "L2-Hys", divided by the square root of the number of blocks.
    """
    luma = pixels @ LUMA / 255
    down, right = np.zeros_like(luma), np.zeros_like(luma)
    down[1:-1], right[:, 1:-1] = luma[2:] - luma[:-2], luma[:, 2:] - luma[:, :-2]
    angle = (np.rad2deg(np.arctan2(down, right)) % 180 // (180 / ANGLES)).astype(np.int64) % ANGLES
    cell = np.arange(SIDE) // (SIDE // cells)
    place = ((cell[:, None] * cells + cell) * ANGLES + angle).ravel()
    strength = np.bincount(place, weights=np.hypot(down, right).ravel(), minlength=cells**2 * ANGLES)
    located = (strength / (SIDE // cells) ** 2).reshape(cells, cells, ANGLES)
    windows = sliding_window_view(located, (BLOCK, BLOCK), axis=(0, 1))  # [cells - 1, cells - 1, ANGLES, BLOCK, BLOCK]
    blocks = windows.transpose(0, 1, 3, 4, 2).reshape((cells - BLOCK + 1) ** 2, -1)
    found: DoubleArray = _unit(np.minimum(_unit(blocks), LARGEST_SHARE)).ravel() / np.sqrt(len(blocks))
    return found


def _unit(rows: DoubleArray) -> DoubleArray:
    unit: DoubleArray = rows / np.sqrt((rows**2).sum(axis=1, keepdims=True) + TINY**2)
    return unit


@dataclass
class ImageStatistics:
    """Colour moments, histograms of colours, histograms of oriented gradients, [R, F]; see `labels`.

    Each group has a length of about 1 at most, so that the product of two rows adds up how alike the pictures are in
    each respect. The whole picture counts, stretched to a square. A known picture is never a row of zeros, unless it is
    asked for edges and has none.
    """

    config: ImageStatisticsConfig
    faults: dict[str, str] = field(default_factory=dict)  # of the last `features`: path -> why it could not be read

    def fit(self, column: Column) -> None:
        """Nothing to learn."""

    def features(self, column: Column) -> FloatArray:
        """The statistics."""
        features, self.faults = encode_pictures(column, SIDE, len(self.labels()), self._row)
        return features

    def _row(self, pixels: Pixels) -> DoubleArray:
        groups = []
        if self.config.parts != "edges":
            groups += [moments(pixels), rgb_histogram(pixels), hsv_histogram(pixels)]
        if self.config.parts != "colours":
            groups.append(edges(pixels, self.config.cells))
        return np.concatenate(groups)

    def labels(self) -> list[str]:
        """What each feature is."""
        labels = []
        if self.config.parts != "edges":
            labels += [f"{channel} {moment}" for channel in CHANNELS for moment in ("mean", "deviation", "skewness")]
            labels += [f"{channel} {low}" for channel in CHANNELS for low in _ranges(LEVELS, 256)]
            labels += [f"hue {degrees}" for degrees in _ranges(HUES, 360)]
            labels += [f"saturation {share}%" for share in _ranges(SATURATIONS, 100)]
            labels += [f"value {share}%" for share in _ranges(VALUES, 100)]
        if self.config.parts != "colours":
            blocks, cells = range(self.config.cells - BLOCK + 1), range(BLOCK)
            labels += [
                f"edges {degrees} at {row + down},{column + right} in block {row},{column}"
                for row in blocks
                for column in blocks
                for down in cells
                for right in cells
                for degrees in _ranges(ANGLES, 180)
            ]
        return labels

    def state(self) -> State:
        """Nothing to keep."""
        return State()

    def load(self, state: State) -> None:
        """Nothing to take."""


def _ranges(count: int, end: int) -> list[str]:
    """The ends of `count` equal parts of 0 to `end`: "0-30", "30-60" and so on."""
    return [f"{part * end // count}-{(part + 1) * end // count}" for part in range(count)]


def build(config: ImageStatisticsConfig, context: BuildContext) -> ImageStatistics:
    """An encoder."""
    return ImageStatistics(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Statistics of pictures."""
    roles: frozenset[Role] = frozenset({"image"})
    return [
        EncoderSpec(
            name="image_statistics",
            api_version=1,
            source=(
                "Stricker and Orengo 1995, doi:10.1117/12.205308 (moments); Swain and Ballard 1991, "
                "doi:10.1007/BF00130487 (histograms); Dalal and Triggs 2005, doi:10.1109/CVPR.2005.177 (edges)"
            ),
            config=ImageStatisticsConfig,
            build=build,
            roles=roles,
            default_for=roles,
            fitted=False,
        )
    ]
