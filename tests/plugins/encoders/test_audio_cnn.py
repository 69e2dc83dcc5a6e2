"""Pictures of sounds that are known beforehand, and a network that learns to tell sounds apart."""

import numpy as np
import pytest
import torch

from recsmith.contracts.data import Column
from recsmith.contracts.plugins import BuildContext
from recsmith_plugins.encoders import audio_cnn

soundfile = pytest.importorskip("soundfile")

RATE, BANDS, FRAMES = 16_000, 48, 96


def built(**params):
    context = BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None)
    return audio_cnn.build(audio_cnn.AudioCNNConfig(**params), context)


def features_of(folder, *sounds):
    paths = np.empty(len(sounds), object)
    for place, samples in enumerate(sounds):
        paths[place] = str(folder / f"{place}.wav")
        soundfile.write(paths[place], samples, RATE, subtype="FLOAT")
    return built().features(Column("sound", "audio", paths))


def tone(pitch, seconds, loudness=0.5):
    return (loudness * np.sin(2 * np.pi * pitch * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def module_of(width=8, seed=0, **params):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return built(**params).module(width)


def test_bands_rise_and_frames_follow_each_other(tmp_path):
    """Two sounds of 6.144 s: deep then high, and a tone that is ten times as loud in its second half."""
    half = FRAMES * 1024 / RATE / 2
    rising = np.concatenate([tone(300, half), tone(3000, half)])
    louder = np.concatenate([tone(1000, half, 0.05), tone(1000, half, 0.5)])
    first, second = features_of(tmp_path, rising, louder).reshape(2, BANDS, FRAMES)
    loudest = first.argmax(axis=0)
    # Slaney's scale has 45.2 mels to 8 kHz, at 49 steps; 300 Hz is 4.5 of them, 3000 Hz is 31.0: bands 4 and 33.
    assert loudest[:46].tolist() == [4] * 46
    assert loudest[50:].tolist() == [33] * 46
    band = second.argmax(axis=0)[0]
    assert second[band, 60] - second[band, 30] == pytest.approx(20 / 50, abs=0.01)  # 20 dB, and 50 dB are 1


def test_silence_is_known_and_a_missing_sound_is_not(tmp_path):
    assert features_of(tmp_path, np.zeros(RATE)) == pytest.approx(np.full((1, BANDS * FRAMES), 0.2), abs=1e-5)
    assert not built().features(Column("sound", "audio", np.array([None], object))).any()


def test_the_middle_counts_and_a_short_sound_is_played_again(tmp_path):
    long = np.concatenate([tone(300, 10), tone(3000, 8), tone(300, 10)])
    middle, short = features_of(tmp_path, long, tone(3000, 0.2)).reshape(2, BANDS, FRAMES)
    assert set(middle.argmax(axis=0).tolist()) == {33}
    assert set(short.argmax(axis=0).tolist()) == {33}


def test_a_file_without_a_sound_is_a_row_of_zeros_with_a_reason(tmp_path):
    (tmp_path / "bad.mp3").write_bytes(b"")
    encoder = built()
    assert not encoder.features(Column("sound", "audio", np.array([str(tmp_path / "bad.mp3")], object))).any()
    assert encoder.faults == {str(tmp_path / "bad.mp3"): "it is empty"}


def test_a_row_does_not_depend_on_the_others():
    rows = 1 + torch.rand(5, BANDS * FRAMES, generator=torch.Generator().manual_seed(0))
    for mode in (True, False):
        module = module_of(mask=0.0, dropout=0.0).train(mode)
        torch.testing.assert_close(module(rows)[2:3], module(rows[2:3]))


def test_a_strip_of_bands_and_one_of_frames_are_hidden_in_training_only():
    rows = 1 + torch.rand(1000, BANDS * FRAMES, generator=torch.Generator().manual_seed(0))
    hide = audio_cnn._input(audio_cnn.AudioCNNConfig(mask=0.4))
    whole = hide.eval()(rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hidden = (hide.train()(rows) != whole)[:, 0]  # [n, bands, frames]
    for axis, size in ((2, BANDS), (1, FRAMES)):
        strips = hidden.all(dim=axis)  # [n, size]
        lengths = strips.sum(dim=1)
        assert 0 < lengths.max() <= np.ceil(0.4 * size)
        assert lengths.float().mean() == pytest.approx(0.2 * size, rel=0.2)
        edges = (strips[:, 1:] != strips[:, :-1]).sum(dim=1)
        assert edges.max() == 2  # one run
        assert strips.any(dim=0).all()  # anywhere
    runs = hidden.all(dim=2)[:, :, None] | hidden.all(dim=1)[:, None]
    assert torch.equal(hidden, runs)


def test_the_mask_is_the_only_chance_in_training_beside_dropout():
    rows = 1 + torch.rand(3, BANDS * FRAMES, generator=torch.Generator().manual_seed(0))
    still = module_of(mask=0.0, dropout=0.0)
    torch.testing.assert_close(still.train()(rows), still.eval()(rows))
    masked = module_of(mask=0.4, dropout=0.0)
    assert not torch.allclose(masked.train()(rows), masked.eval()(rows))


def sounds(generator, number):
    """Pairs: a tone that rises by two octaves and one that falls by them, somewhere, both in noise."""
    t = np.arange(FRAMES * 1024) / RATE
    for _ in range(number):
        pitch, start, loudness = generator.uniform(200, 900), generator.uniform(0, 4), generator.uniform(0.1, 0.5)
        late = np.clip(t - start, 0.0, 2.0)
        there = loudness * ((t >= start) & (t < start + 2.0))
        for first, octaves in ((pitch, 1.0), (4 * pitch, -1.0)):  # octaves in a second
            phase = first * (2 ** (octaves * late) - 1) / (octaves * np.log(2))
            yield (there * np.sin(2 * np.pi * phase) + 0.02 * generator.random(len(t))).astype(np.float32)


def test_it_learns_what_no_average_over_time_tells(tmp_path):
    """Rising from falling: the two of a pair have the same pitches for as long, in another order."""
    generator = np.random.default_rng(0)
    rows = torch.from_numpy(features_of(tmp_path, *sounds(generator, 80)))
    rising = torch.arange(160) % 2 == 0
    module = module_of(width=2, channels=8)
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(60):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module(rows[:100]), rising[:100].long()).backward()
            optimizer.step()
    with torch.no_grad():
        right = module.eval()(rows[100:]).argmax(dim=1) == rising[100:]
    assert right.float().mean() > 0.9
