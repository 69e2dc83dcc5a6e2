"""musicnn in torch against the package musicnn 0.1.0 on TensorFlow 2.21, whose figures stand here.

    for model in ("MSD_musicnn", "MTT_musicnn"):  # with TF_USE_LEGACY_KERAS=1 and tf_keras; `sound` as below
        x, training = tf.compat.v1.placeholder(tf.float32, [None, 187, 96]), tf.compat.v1.placeholder(tf.bool)
        tags, _, _, _, _, _, mean_pool, max_pool, penultimate = musicnn.models.define_model(x, training, model, 50)
        tf.compat.v1.train.Saver().restore(session, f"{folder of the package}/{model}/")
        mel = librosa.feature.melspectrogram(y=sound, sr=16000, hop_length=256, n_fft=512, n_mels=96,
                                             pad_mode="reflect").T  # librosa 0.11; before 0.10 "reflect" was usual
        mel = np.log10(10000 * mel + 1)
        patches = np.stack([mel[i : i + 187] for i in range(0, len(mel) - 186, 187)])
        session.run([tags, mean_pool, max_pool, penultimate], {x: patches, training: False})

The package itself rounds `mel` to float16, which moves no activation by more than 0.03 %; with NumPy 2 its product with
10000 would be infinite for any loud sound.
"""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from recsmith.contracts.data import Column
from recsmith.contracts.errors import PluginError
from recsmith.contracts.plugins import BuildContext
from recsmith_plugins.encoders import musicnn

soundfile = pytest.importorskip("soundfile")
if find_spec("musicnn") is None:
    pytest.skip("the package musicnn is not installed", allow_module_level=True)

RATE = 16_000
T = np.arange(6 * RATE) / RATE
MAJOR = (0, 4, 7, 12, 7, 4, 5, 9, 12, 9, 5, 0)  # semitones above middle C, a note every half second

# Of each model and sound: the likeliest tags (their numbers) and their probabilities, averaged over the patches.
TAGS = {
    ("msd", "piano"): {4: 0.422, 28: 0.331, 3: 0.154, 23: 0.153, 12: 0.143},  # electronic, ambient, indie, instrumental
    ("msd", "beat"): {4: 0.727, 18: 0.238, 41: 0.232, 28: 0.198, 30: 0.103},  # electronic, electronica, electro
    ("mtt", "piano"): {9: 0.607, 2: 0.440, 32: 0.163, 14: 0.139, 10: 0.122},  # piano, slow, solo, synth, ambient
    ("mtt", "beat"): {3: 0.710, 6: 0.436, 14: 0.311, 8: 0.256, 11: 0.219},  # techno, electronic, synth, fast, beat
}
# Of the mean over the patches: the length, and the product with cos(0), cos(1), cos(2), ….
LAYERS = {
    ("msd", "piano"): {"penultimate": (12.644, 1.400), "mean_pool": (20.806, -12.503), "max_pool": (339.243, -221.463)},
    ("msd", "beat"): {"penultimate": (18.750, -0.727), "mean_pool": (22.525, -38.591), "max_pool": (259.932, -231.498)},
    ("mtt", "piano"): {"penultimate": (8.920, 3.400), "mean_pool": (50.492, -67.327), "max_pool": (245.506, -162.219)},
    ("mtt", "beat"): {"penultimate": (10.478, -0.166), "mean_pool": (19.289, -7.197), "max_pool": (153.687, -29.874)},
}


def piano():
    sound = np.zeros_like(T)
    for place, semitones in enumerate(MAJOR):
        t = np.maximum(T - place / 2, 0.0)
        pitch = 261.63 * 2 ** (semitones / 12)
        overtones = sum(np.sin(2 * np.pi * pitch * k * t) / k**1.5 for k in range(1, 7))
        sound += overtones * np.exp(-2.0 * t) * (place / 2 <= T)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def beat():
    noise = np.random.default_rng(0).random(len(T)) - 0.5
    late = T % 0.5
    kick = np.sin(2 * np.pi * (50 * late - 5 * np.exp(-30 * late))) * np.exp(-12 * late)
    hat = noise * np.exp(-60 * (T % 0.125))
    bass = np.sign(np.sin(2 * np.pi * 55 * T)) * np.exp(-4 * (T % 0.25))
    sound = kick + hat + 0.5 * bass
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


SOUNDS = {"piano": piano(), "beat": beat()}
BOTH = pytest.mark.parametrize(("tags", "sound"), sorted(TAGS))


def built(**params):
    context = BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None)
    return musicnn.build(musicnn.MusicnnConfig(**params), context)


def column_of(folder, **sounds):
    paths = np.empty(len(sounds), object)
    for place, (name, samples) in enumerate(sounds.items()):
        paths[place] = samples if isinstance(samples, str) else str(folder / f"{name}.wav")
        if not isinstance(samples, str):
            soundfile.write(paths[place], samples, RATE, subtype="FLOAT")
    return Column("sound", "audio", paths)


@BOTH
def test_tags_are_those_of_the_package(tags, sound):
    weights = {name: torch.tensor(array) for name, array in musicnn.read_weights(tags).items()}
    logits = musicnn.layers(torch.from_numpy(musicnn.patches(SOUNDS[sound])), weights)["tags"]
    likely = torch.sigmoid(logits).mean(dim=0)
    expected = TAGS[tags, sound]
    assert likely.argsort(descending=True)[:5].tolist() == list(expected)
    assert likely[list(expected)].tolist() == pytest.approx(list(expected.values()), abs=1e-3)


@BOTH
@pytest.mark.parametrize("layer", ["penultimate", "mean_pool", "max_pool"])
def test_features_are_the_layers_of_the_package(tmp_path, tags, sound, layer):
    encoder, column = built(tags=tags, layer=layer), column_of(tmp_path, sound=SOUNDS[sound])
    encoder.fit(column)
    (row,) = encoder.features(column)
    assert row.shape == (200 if layer == "penultimate" else 753,)
    found = (np.linalg.norm(row), np.cos(np.arange(len(row))) @ row)
    assert found == pytest.approx(LAYERS[tags, sound][layer], rel=1e-4, abs=2e-3)


def test_a_short_sound_is_played_again_until_it_fills_a_patch(tmp_path):
    second = SOUNDS["beat"][:RATE]
    heard = musicnn.patches(second)
    assert heard.shape == (1, 187, 96)
    np.testing.assert_array_equal(heard[0, 63:126], heard[0, :63])  # a second has 63 frames
    encoder = built()
    features = encoder.features(column_of(tmp_path, second=second, blip=second[:1], silence=np.zeros(RATE)))
    assert np.isfinite(features).all()
    assert features.any(axis=1).all()


def test_files_without_a_sound_are_rows_of_zeros_with_a_reason(tmp_path):
    column = column_of(tmp_path, beat=SOUNDS["beat"], gone=str(tmp_path / "gone.wav"))
    encoder = built()
    features = encoder.features(column)
    assert features.any(axis=1).tolist() == [True, False]
    assert encoder.faults == {str(tmp_path / "gone.wav"): "there is no such file"}


def test_the_state_is_all_that_another_needs(tmp_path, monkeypatch):
    column = column_of(tmp_path, piano=SOUNDS["piano"])
    encoder, loaded = built(), built()
    features, state = encoder.features(column), encoder.state()
    musicnn.read_weights.cache_clear()
    monkeypatch.setattr(sys, "path", [])  # no package is found any more
    loaded.load(state)
    assert loaded.features(column).tobytes() == features.tobytes()


def test_a_missing_package_is_an_error_that_says_what_to_install(tmp_path, monkeypatch):
    musicnn.read_weights.cache_clear()
    monkeypatch.setattr(sys, "path", [])
    column = column_of(tmp_path, piano=SOUNDS["piano"])
    with pytest.raises(PluginError, match="needs the package musicnn: pip install --no-deps musicnn"):
        built().fit(column)


def test_neither_the_package_nor_torch_is_imported_before_it_is_needed():
    code = (
        "import sys; import recsmith_plugins.encoders.musicnn as encoder; before = 'torch' in sys.modules; "
        "encoder.read_weights('mtt'); print(before, 'soundfile' in sys.modules, 'musicnn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]
