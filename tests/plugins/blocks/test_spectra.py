"""Spectra against figures of librosa 0.11.

t = np.arange(22050) / 22050
x = (0.5 * np.sin(2 * np.pi * (200 * t + 300 * t**2)) + 0.1 * np.sin(2 * np.pi * 3000 * t)).astype(np.float32)
power = np.abs(librosa.stft(x, n_fft=2048, hop_length=512, pad_mode="reflect")) ** 2
mel = librosa.feature.melspectrogram(S=power, sr=22050, n_mels=128)
levels = librosa.power_to_db(mel)
cepstra = librosa.feature.mfcc(S=levels, n_mfcc=20)
slopes = librosa.feature.delta(cepstra, width=9, mode="nearest")
"""

import numpy as np
import pytest

from recsmith_plugins.blocks.spectra import (
    cepstra,
    decibels,
    framed,
    looped,
    mel_bands,
    mel_spectra,
    power_spectra,
    slopes,
)

T = np.arange(22_050) / 22_050
SOUND = (0.5 * np.sin(2 * np.pi * (200 * T + 300 * T**2)) + 0.1 * np.sin(2 * np.pi * 3000 * T)).astype(np.float32)
FRAMES = [0, 21, 42, 10]


def close(actual, expected, rtol=1e-4, atol=1e-4):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def test_power_spectra():
    power = power_spectra(SOUND, 2048, 512)
    assert (power.shape, power.dtype) == ((44, 1025), np.float32)
    close(power[FRAMES, [20, 30, 60, 279]], [28035.787, 0.000359, 30.790382, 2213.6306])


def test_mel_bands_have_the_area_of_one():
    bands = mel_bands(16_000, 512, 96)  # librosa.filters.mel(sr=16000, n_fft=512, n_mels=96).T
    assert bands.shape == (257, 96)
    assert bands.argmax(axis=0)[[0, 10, 40, 95]].tolist() == [1, 11, 42, 248]
    close(bands[[1, 11, 42, 248], [0, 10, 40, 95]], [0.031999223, 0.0304135, 0.014877914, 0.0039845603], rtol=1e-6)
    close(bands.sum(axis=0)[[0, 10, 40, 95]], [0.031999, 0.031999, 0.029732, 0.031985], atol=1e-6)


def test_mel_spectra_and_their_levels():
    mel = mel_spectra(SOUND, 22_050, 2048, 512, 128)
    close(mel[FRAMES, [5, 12, 20, 60]], [213.94034, 0.000067, 1.1984, 0.0])
    expected = [23.302927, -41.763855, 0.786018, -45.623863, -45.623863]
    close(decibels(mel)[[*FRAMES, 5], [5, 12, 20, 60, 127]], expected, atol=1e-3)


def test_silence_is_at_the_least_power():
    close(decibels(np.zeros((2, 3), np.float32), below=None), [[-100.0] * 3] * 2)


def test_cepstra_and_their_slopes():
    coefficients = cepstra(decibels(mel_spectra(SOUND, 22_050, 2048, 512, 128)), 20)
    close(coefficients[21, :6], [-461.4264, 44.806328, 21.279331, 29.04852, -13.443056, -54.54294], atol=1e-2)
    close(coefficients.mean(axis=0)[:5], [-435.52295, 52.87648, 19.331873, 29.171711, -13.285291], atol=1e-2)
    close(coefficients.std(axis=0)[:5], [83.501976, 28.988184, 15.878422, 30.735596, 30.262384], atol=1e-2)
    change = slopes(coefficients)
    close(change[0, :5], [-43.29631, -11.060225, -2.036931, -7.58872, 4.694293], atol=1e-2)
    close(change.std(axis=0)[:5], [23.020395, 7.389637, 0.474976, 2.13163, 2.081942], atol=1e-2)


@pytest.mark.parametrize("samples", [1, 2, 255, 256, 5000])
def test_any_sound_has_frames(samples):
    assert framed(SOUND[:samples], 512, 256).shape == (1 + samples // 256, 512)
    assert np.isfinite(power_spectra(SOUND[:samples], 512, 256)).all()


def test_a_series_that_is_too_short_starts_again():
    assert looped(np.array([[1], [2], [3]]), 7).ravel().tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert looped(np.array([[1], [2], [3]]), 2).ravel().tolist() == [1, 2]
