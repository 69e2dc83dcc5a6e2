"""Statistics of sounds whose pitch, pulse and spectrum are known, and figures of librosa 0.11."""

import numpy as np
import pytest

from recsmith.contracts.data import Column
from recsmith.contracts.plugins import BuildContext
from recsmith_plugins.encoders import audio_statistics

soundfile = pytest.importorskip("soundfile")

RATE = 22_050


def encoder_of(column=None, **params):
    context = BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None)
    encoder = audio_statistics.build(audio_statistics.AudioStatisticsConfig(**params), context)
    if column is not None:
        encoder.fit(column)
    return encoder


def column_of(folder, *sounds):
    paths = np.empty(len(sounds), object)
    for place, samples in enumerate(sounds):
        paths[place] = str(folder / f"{place}.wav")
        soundfile.write(paths[place], samples, RATE, subtype="FLOAT")
    return Column("sound", "audio", paths)


def measured(folder, samples, **params):
    """The raw statistics of one sound, by name."""
    encoder = encoder_of(**params)
    (row,) = encoder._measured(column_of(folder, samples))
    return dict(zip(encoder.labels(), row.tolist(), strict=False))


def tone(pitch, seconds=2.0, loudness=0.5):
    return (loudness * np.sin(2 * np.pi * pitch * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def clicks(beats_a_minute, seconds=20):
    sound = np.zeros(seconds * RATE, np.float32)
    starts = np.arange(0, len(sound) - 300, RATE * 60 / beats_a_minute).astype(int)
    sound[starts[:, None] + np.arange(300)] = np.random.default_rng(0).random(300) - 0.5
    return sound


def test_spectra_have_the_statistics_of_librosa(tmp_path):
    """The sound and its power P are those of tests/plugins/blocks/test_spectra.py.

    centroid, roll_off = (f(S=P, sr=22050) for f in (librosa.feature.spectral_centroid, .spectral_rolloff))
    flatness = librosa.feature.spectral_flatness(S=np.sqrt(P))
    loudness = librosa.feature.rms(y=np.pad(x, 1024, mode="reflect"), frame_length=2048, hop_length=512, center=False)
    Of log2(centroid / 1000), log2(roll_off / 1000), 10 log10(flatness), 20 log10(loudness): mean and deviation.
    """
    t = np.arange(RATE) / RATE
    sound = 0.5 * np.sin(2 * np.pi * (200 * t + 300 * t**2)) + 0.1 * np.sin(2 * np.pi * 3000 * t)
    expected = {
        "cepstrum 0 mean": -435.52295,
        "cepstrum 3 mean": 29.171711,
        "cepstrum 0 deviation": 83.501976,
        "cepstrum 4 deviation": 30.262384,
        "cepstrum 0 slope": 23.020395,
        "cepstrum 2 slope": 0.474976,
        "centroid mean": -0.811898,
        "centroid deviation": 0.438244,
        "roll-off mean": -1.066017,
        "roll-off deviation": 0.547915,
        "flatness mean": -100.51075,
        "flatness deviation": 20.75945,
        "loudness mean": -8.859941,
        "loudness deviation": 0.009836,
    }
    found = measured(tmp_path, sound.astype(np.float32))
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_a_tone_crosses_zero_twice_in_each_period(tmp_path):
    assert measured(tmp_path, tone(1000))["zero crossings mean"] == pytest.approx(2000 / RATE, rel=0.01)


@pytest.mark.parametrize("beats", [60, 90, 120, 150])
def test_clicks_have_their_tempo(tmp_path, beats):
    found = measured(tmp_path, clicks(beats))
    assert 120 * 2 ** found["tempo"] == pytest.approx(beats, rel=0.03)
    assert found["pulse"] > 2 * measured(tmp_path, np.random.default_rng(0).random(20 * RATE) - 0.5)["pulse"]


@pytest.mark.parametrize(("pitch", "name"), [(440.0, "A"), (880.0, "A"), (523.25, "C"), (739.99, "F sharp")])
def test_a_note_is_in_its_pitch_class(tmp_path, pitch, name):
    found = measured(tmp_path, tone(pitch))
    pitches = {label: share for label, share in found.items() if label.startswith("pitch ")}
    assert len(pitches) == 12
    assert sum(pitches.values()) == pytest.approx(1.0)
    assert max(pitches, key=pitches.get) == f"pitch {name}"
    assert pitches[f"pitch {name}"] > 0.5


@pytest.mark.parametrize("samples", [1, 2, 600, 3000])
def test_a_sound_of_any_length_has_statistics(tmp_path, samples):
    assert np.isfinite(list(measured(tmp_path, tone(440)[:samples]).values())).all()


def test_silence_is_told_from_a_missing_sound(tmp_path):
    column = column_of(tmp_path, np.zeros(RATE), tone(440), tone(880), np.random.default_rng(0).random(RATE) - 0.5)
    features = encoder_of(column).features(Column("sound", "audio", np.append(column.values, None)))
    assert features.any(axis=1).tolist() == [True, True, True, True, False]
    assert features[:, -1].tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("cepstra", [13, 20])
def test_features_are_standard_scores_with_a_name_each(tmp_path, cepstra):
    generator = np.random.default_rng(0)
    sounds = [tone(200 + 90 * number) + 0.1 * (number % 4) * generator.random(2 * RATE) for number in range(12)]
    column = column_of(tmp_path, *sounds)
    encoder = encoder_of(column, cepstra=cepstra)
    features = encoder.features(column)
    assert features.shape == (12, 3 * cepstra + 26) == (12, len(set(encoder.labels())))
    scores = features[:, :-1].astype(np.float64)
    assert np.abs(scores).max() <= 5.0
    np.testing.assert_allclose(scores.mean(axis=0), 0.0, atol=1e-5)
    deviation = scores.std(axis=0)
    np.testing.assert_allclose(deviation[deviation > 0], 1.0, rtol=1e-4)


def test_what_sounds_alike_is_alike(tmp_path):
    """Three kinds of sound: deep tones, hiss, clicks. Each is closest to the other one of its kind."""
    generator = np.random.default_rng(0)
    hiss = [(share * (generator.random(4 * RATE) - 0.5)) for share in (0.4, 0.6)]
    sounds = [tone(200, 4), tone(220, 4), *hiss, clicks(118, 4), clicks(122, 4)]
    column = column_of(tmp_path, *sounds)
    features = encoder_of(column).features(column)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    likeness = unit @ unit.T - 2 * np.eye(6)
    assert likeness.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


def test_scores_far_from_all_that_was_learnt_from_are_cut_off(tmp_path):
    column = column_of(tmp_path, tone(440), tone(450), tone(460))
    encoder = encoder_of(column)
    features = encoder.features(column_of(tmp_path, np.random.default_rng(0).random(RATE) - 0.5))
    assert np.abs(features).max() == 5.0


def test_files_without_a_sound_are_rows_of_zeros_with_a_reason(tmp_path):
    column = column_of(tmp_path, tone(440), tone(880))
    bad = tmp_path / "bad.wav"
    bad.write_text("not found")
    values = np.array([str(bad), *column.values, None], object)
    encoder = encoder_of(Column("sound", "audio", values))
    features = encoder.features(Column("sound", "audio", values))
    assert features.any(axis=1).tolist() == [False, True, True, False]
    assert encoder.faults == {str(bad): "it is text"}
    np.testing.assert_array_equal(features[1:3], encoder_of(column).features(column))  # it taught nothing


def test_of_many_sounds_scores_are_learnt_from_256(tmp_path):
    short = tone(440, 0.01)
    column = column_of(tmp_path, *(short * (number + 1) / 300 for number in range(300)))
    picked = np.unique(np.linspace(0, 299, 256).astype(int))
    some = column.take(np.argsort(column.values.astype(str))[picked])
    expected, found = encoder_of(some), encoder_of(column)
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.deviation, expected.deviation)
