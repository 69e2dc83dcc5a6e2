"""Sounds as statistics of their spectra: timbre, brightness, loudness, pulse and pitch classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field
from scipy import fft

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, DoubleArray, FeatureMatrix, FloatArray, Role, State
from recsmith.contracts.domains import Categorical
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import BuildContext, EncoderSpec
from recsmith_plugins.blocks.audio_files import Excerpt, encode_sounds
from recsmith_plugins.blocks.spectra import FLOOR, cepstra, decibels, framed, mel_bands, power_spectra, slopes

if TYPE_CHECKING:
    from collections.abc import Sequence

RATE, SIZE, HOP, BANDS = 22_050, 2_048, 512, 128  # samples a second, in a frame, between frames; mel bands
ROLLED_OFF = 0.85  # share of the power below the roll-off
SLOWEST, FASTEST, USUAL = 40.0, 240.0, 120.0  # beats a minute
PITCHES = ("A", "A sharp", "B", "C", "C sharp", "D", "D sharp", "E", "F", "F sharp", "G", "G sharp")
CONCERT_PITCH = 440.0  # Hz
MELODIC = (200.0, 5_000.0)  # Hz; lower, a frame does not tell a semitone from the next
SHAPE = ("centroid", "roll-off", "flatness", "zero crossings", "loudness")
PULSE = ("onsets", "tempo", "pulse")
FARTHEST = 5.0  # deviations from the mean: a silent track does not drown its other features, nor its neighbours
MEASURED = 256  # sounds that mean and deviation are learnt from, at most: reading them costs more than all the rest


class AudioStatisticsConfig(Config):
    """Settings. `seconds` of the middle of each sound are read."""

    cepstra: Annotated[int, Categorical((13, 20))] = 20
    seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0


@dataclass
class AudioStatistics:
    """Standard scores [R, 3 cepstra + 26], cut off at 5 deviations, of which the last column is 1 where known.

    Of each cepstral coefficient the mean and deviation over the frames, and the deviation of its slope (the mean slope
    is next to nothing); mean and deviation of spectral centroid and roll-off (octaves from 1 kHz), flatness (dB),
    zero crossings (share of the samples) and loudness (dB); strength of onsets (dB a frame), tempo (octaves from 120
    beats a minute) and how clear the pulse is (autocorrelation of the onsets); the share of each pitch class. A file
    that is missing or cannot be read is a row of zeros.
    """

    config: AudioStatisticsConfig
    mean: DoubleArray = field(default_factory=lambda: np.zeros(0))  # [F - 1]; before `fit` nothing
    deviation: DoubleArray = field(default_factory=lambda: np.zeros(0))
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def _width(self) -> int:
        return len(self.labels()) - 1

    def fit(self, column: Column) -> None:
        """Learn mean and deviation from at most 256 sounds, evenly picked."""
        paths = np.array(sorted({path for path in column.values if path is not None}), object)
        picked = np.unique(np.linspace(0, len(paths) - 1, min(len(paths), MEASURED)).astype(np.int64))
        raw = self._measured(Column(column.name, column.role, paths[picked]))
        known = raw[raw.any(axis=1)].astype(np.float64)
        self.mean, self.deviation = np.zeros(self._width), np.ones(self._width)
        if len(known):
            self.mean = known.mean(axis=0)
            # Equal values can have a deviation that is zero but for rounding: nothing is divided by that.
            vary = known.min(axis=0) < known.max(axis=0)
            self.deviation = np.where(vary, known.std(axis=0), 1.0)

    def features(self, column: Column) -> FeatureMatrix:
        """The scores and the flag."""
        raw = self._measured(column)
        known = raw.any(axis=1, keepdims=True)
        scores = np.clip((raw - self.mean) / self.deviation, -FARTHEST, FARTHEST)
        return np.concatenate([np.where(known, scores, 0.0), known], axis=1).astype(np.float32)

    def _measured(self, column: Column) -> FloatArray:
        """The raw statistics, [R, F - 1]; zeros where unknown, and nowhere else: silence is -100 dB."""
        excerpt = Excerpt(RATE, self.config.seconds)
        raw, self.faults = encode_sounds(column, excerpt, self._width, self._statistics)
        return raw

    def _statistics(self, samples: FloatArray) -> FloatArray:
        power = power_spectra(samples, SIZE, HOP)  # [T, bins]
        mel = power @ mel_bands(RATE, SIZE, BANDS)  # [T, bands]
        coefficients = cepstra(decibels(mel), self.config.cepstra)
        shape = _shape(samples, power)
        parts = [coefficients.mean(0), coefficients.std(0), slopes(coefficients).std(0), shape.mean(0), shape.std(0)]
        return np.concatenate([*parts, _pulse(mel), _pitch_classes(power)], dtype=np.float32)

    def labels(self) -> Sequence[str]:
        """What each column is."""
        cepstral = [f"cepstrum {number}" for number in range(self.config.cepstra)]
        series = [f"{name} {what}" for what in ("mean", "deviation", "slope") for name in cepstral]
        series += [f"{name} {what}" for what in ("mean", "deviation") for name in SHAPE]
        return [*series, *PULSE, *(f"pitch {name}" for name in PITCHES), "known"]

    def state(self) -> State:
        """Mean and deviation."""
        return State({}, {"mean": self.mean, "deviation": self.deviation})

    def load(self, state: State) -> None:
        """Take mean and deviation."""
        self.mean, self.deviation = state.arrays["mean"], state.arrays["deviation"]


def _shape(samples: FloatArray, power: FloatArray) -> FloatArray:
    """Centroid, roll-off, flatness, zero crossings and loudness of each frame, [T, 5]."""
    frequencies = np.fft.rfftfreq(SIZE, 1 / RATE).astype(np.float32)
    power = np.maximum(power, np.float32(FLOOR))
    total = power.sum(axis=1)
    centroid = power @ frequencies / total
    rolled_off = frequencies[(np.cumsum(power, axis=1) < ROLLED_OFF * total[:, None]).sum(axis=1)]
    flatness = 10 * (np.log10(power).mean(axis=1) - np.log10(power.mean(axis=1)))
    negative = np.signbit(samples)
    crossings = np.concatenate([[False], negative[1:] != negative[:-1]]).astype(np.float32)
    loudness = 10 * np.log10(np.maximum(framed(samples**2, SIZE, HOP).mean(axis=1), FLOOR))
    octaves = [np.log2(np.maximum(hertz, 1.0) / 1000.0) for hertz in (centroid, rolled_off)]
    return np.stack([*octaves, flatness, framed(crossings, SIZE, HOP).mean(axis=1), loudness], axis=1)


def _pulse(mel: FloatArray) -> DoubleArray:
    """Mean strength of onsets, tempo and clearness of the pulse; zeros where nothing begins or the sound is too short.

    Tempo is the lag at which the onsets are most like themselves, those near 120 beats a minute preferred (Ellis 2007,
    doi:10.1080/09298210701653344).
    """
    onsets = np.maximum(np.diff(decibels(mel), axis=0), 0.0).mean(axis=1).astype(np.float64)  # [T - 1]
    lags = np.arange(round(60 * RATE / HOP / FASTEST), round(60 * RATE / HOP / SLOWEST) + 1)
    lags = lags[lags < len(onsets)]
    if not len(lags) or onsets.max() <= onsets.min():
        return np.array([onsets.mean() if len(onsets) else 0.0, 0.0, 0.0])
    centred = onsets - onsets.mean()
    likeness = fft.irfft(np.abs(fft.rfft(centred, 2 * len(centred))) ** 2)
    likeness = likeness[lags] / likeness[0]
    tempo = np.log2(60 * RATE / HOP / lags / USUAL)
    best = int(np.argmax(likeness * np.exp(-0.5 * tempo**2)))
    return np.array([onsets.mean(), tempo[best], likeness[best]])


def _pitch_classes(power: FloatArray) -> DoubleArray:
    """The share of each pitch class in the power of what can be a melody, [12]; even shares in silence."""
    frequencies = np.fft.rfftfreq(SIZE, 1 / RATE)
    melodic = np.flatnonzero((frequencies >= MELODIC[0]) & (frequencies <= MELODIC[1]))
    semitone = 12 * np.log2(frequencies[melodic] / CONCERT_PITCH)
    energy = np.sqrt(np.maximum(power[:, melodic], FLOOR)).mean(axis=0, dtype=np.float64)  # root: not the loudest alone
    upper = semitone - np.floor(semitone)  # share of the next pitch class
    low = np.floor(semitone).astype(np.int64) % 12
    classes = np.bincount(low, energy * (1 - upper), 12) + np.bincount((low + 1) % 12, energy * upper, 12)
    shares: DoubleArray = classes / classes.sum()
    return shares


def build(config: AudioStatisticsConfig, context: BuildContext) -> AudioStatistics:
    """An unfitted encoder."""
    return AudioStatistics(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Statistics of sounds."""
    roles: frozenset[Role] = frozenset({"audio"})
    return [
        EncoderSpec(
            name="audio_statistics",
            api_version=1,
            source=(
                "Tzanetakis and Cook 2002, doi:10.1109/TSA.2002.800560; Davis and Mermelstein 1980, "
                "doi:10.1109/TASSP.1980.1163420 (cepstra)"
            ),
            config=AudioStatisticsConfig,
            build=build,
            roles=roles,
            default_for=roles,
            cost="minutes",
        )
    ]
