"""Spectra of sounds: power spectra, mel bands and cepstra, with the formulae of librosa 0.7 to 0.11.

Sources: Slaney 1998, Auditory Toolbox (mel scale and bands); Davis and Mermelstein 1980, doi:10.1109/TASSP.1980.1163420
(cepstra).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, FloatArray

LINEAR = 200.0 / 3  # Hz in a mel, up to the corner
CORNER = 1000.0  # Hz, where the scale becomes logarithmic
LOG_STEP = np.log(6.4) / 27  # of the logarithm in a mel, above the corner
FLOOR = 1e-10  # the least power: -100 dB
RANGE = 80.0  # dB below the loudest that decibels are cut off at


@cache
def _window(size: int) -> FloatArray:
    """The periodic Hann window."""
    window: FloatArray = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    return window


def framed(samples: FloatArray, size: int, hop: int) -> FloatArray:
    """Frames [T, size] whose middles are `hop` samples apart, the first at sample 0; mirrored at both ends."""
    padded = np.pad(samples, size // 2, mode="reflect")
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def power_spectra(samples: FloatArray, size: int, hop: int) -> FloatArray:
    """The power of `size` // 2 + 1 frequencies in each frame, [T, size // 2 + 1] float32."""
    spectra = fft.rfft(framed(samples, size, hop) * _window(size), axis=1)
    power: FloatArray = spectra.real**2 + spectra.imag**2
    return power


def _mel(hertz: float) -> float:
    return hertz / LINEAR if hertz < CORNER else CORNER / LINEAR + float(np.log(hertz / CORNER)) / LOG_STEP


def _hertz(mels: DoubleArray) -> DoubleArray:
    above = np.maximum(mels - CORNER / LINEAR, 0.0)
    hertz: DoubleArray = np.minimum(mels, CORNER / LINEAR) * LINEAR * np.exp(LOG_STEP * above)
    return hertz


@cache
def mel_bands(rate: int, size: int, bands: int) -> FloatArray:
    """Weights [size // 2 + 1, bands] of triangular bands of unit area, evenly spaced in mel from 0 Hz to rate / 2."""
    frequencies = np.fft.rfftfreq(size, 1 / rate)[:, None]
    edges = _hertz(np.linspace(0.0, _mel(rate / 2), bands + 2))
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling)) * 2 / (high - low)
    return weights.astype(np.float32)


def mel_spectra(samples: FloatArray, rate: int, size: int, hop: int, bands: int) -> FloatArray:
    """The power of each mel band in each frame, [T, bands] float32."""
    return power_spectra(samples, size, hop) @ mel_bands(rate, size, bands)


def decibels(power: FloatArray, below: float | None = RANGE) -> FloatArray:
    """10 log10 of the power, no less than -100 dB and than `below` dB under the loudest."""
    level = 10 * np.log10(np.maximum(power, np.float32(FLOOR)))
    return level if below is None or not level.size else np.maximum(level, level.max() - np.float32(below))


def cepstra(levels: FloatArray, count: int) -> FloatArray:
    """The first `count` mel-frequency cepstral coefficients of mel levels in dB: [T, bands] -> [T, count]."""
    coefficients: FloatArray = fft.dct(levels, type=2, norm="ortho", axis=1)[:, :count]
    return coefficients


def slopes(series: FloatArray, reach: int = 4) -> FloatArray:
    """How fast each column of [T, n] changes per frame: its straight line through `reach` frames on either side.

    At the ends the frames that there are stand for those that there are not, so nothing changes beyond them.
    """
    padded = np.pad(series, ((reach, reach), (0, 0)), mode="edge")
    steps = np.arange(-reach, reach + 1, dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)  # [T, n, 2 reach + 1]
    slope: FloatArray = windows @ (steps / (steps**2).sum())
    return slope


def looped(series: FloatArray, length: int) -> FloatArray:
    """The first `length` rows of a series that starts again whenever it ends."""
    return series[np.arange(length) % len(series)]
