"""Sounds from files: excerpts that are known beforehand, and files of every kind that hold none."""

import os
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from recsmith.contracts.data import Column
from recsmith.contracts.errors import PluginError
from recsmith_plugins.blocks.audio_files import Excerpt, UnreadableError, _without_chatter, encode_sounds, read_excerpt

soundfile = pytest.importorskip("soundfile")

FORMATS = pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
LONG = Excerpt(16_000, 60.0)


def tone(pitch, seconds, rate=16_000):
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def noise(seconds=4, rate=16_000, seed=0):
    return (np.random.default_rng(seed).random(seconds * rate) - 0.5).astype(np.float32)


def written(folder, kind, samples, rate=16_000, **settings):
    path = folder / f"sound.{kind}"
    soundfile.write(path, samples, rate, **settings)
    return str(path)


def size_of(path):
    return Path(path).stat().st_size


def overwritten(path, place, content):
    """The same file with other bytes from `place` on."""
    with Path(path).open("r+b") as file:
        file.seek(place)
        file.write(content)
    return path


def pitch_of(samples, rate):
    return np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)


# --- sounds -----------------------------------------------------------------------------------------------------------


@FORMATS
def test_an_excerpt_is_the_middle(tmp_path, kind):
    path = written(tmp_path, kind, np.concatenate([tone(440, 3), tone(1000, 3), tone(440, 3)]))
    samples = read_excerpt(path, Excerpt(16_000, 2.0))
    assert (samples.shape, samples.dtype) == ((32_000,), np.float32)
    assert pitch_of(samples, 16_000) == 1000
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.05)


@FORMATS
def test_a_sound_that_is_shorter_is_read_whole(tmp_path, kind):
    sound = noise()
    samples = read_excerpt(written(tmp_path, kind, sound), LONG)
    assert len(samples) == len(sound)
    if kind in ("wav", "flac"):  # to 16 bits
        np.testing.assert_allclose(samples, sound, atol=2**-15)


def test_channels_are_averaged(tmp_path):
    left, right = noise(seed=1), noise(seed=2)
    path = written(tmp_path, "wav", np.stack([left, right], axis=1), subtype="FLOAT")
    np.testing.assert_array_equal(read_excerpt(path, LONG), (left + right) / 2)


@pytest.mark.parametrize(
    ("rate", "off"),
    # The rate of the last is met to a millionth or two: in two seconds the sine is off by a fiftieth.
    [(8_000, 2e-3), (11_025, 2e-3), (22_050, 2e-3), (44_100, 2e-3), (48_000, 2e-3), (44_101, 2e-2)],
)
def test_a_sine_stays_the_sine_at_another_rate(tmp_path, rate, off):
    path = written(tmp_path, "wav", tone(1000, 2, rate), rate, subtype="FLOAT")
    samples = read_excerpt(path, LONG)
    assert len(samples) == pytest.approx(32_000, abs=1)
    np.testing.assert_allclose(samples[1000:-1000], tone(1000, 2)[1000 : len(samples) - 1000], atol=off)


def test_silence_is_a_sound(tmp_path):
    samples = read_excerpt(written(tmp_path, "flac", np.zeros(8000, np.float32)), LONG)
    np.testing.assert_array_equal(samples, np.zeros(8000, np.float32))


def test_one_sample_is_a_sound(tmp_path):
    assert read_excerpt(written(tmp_path, "wav", np.array([0.5], np.float32)), LONG).tolist() == [0.5]


def test_of_hours_only_the_excerpt_is_in_memory(tmp_path):
    path = written(tmp_path, "wav", noise(1))
    size = 1_900_000_000  # 16.5 hours, as a hole in the file
    overwritten(path, 4, struct.pack("<I", size - 8))
    overwritten(path, 40, struct.pack("<I", size - 44))
    os.truncate(path, size)
    tracemalloc.start()
    samples = read_excerpt(path, Excerpt(16_000, 10.0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert samples.tolist() == [0.0] * 160_000
    assert peak < 20e6


# --- half a sound is a sound ------------------------------------------------------------------------------------------


@FORMATS
def test_of_a_file_that_is_cut_off_what_is_left_is_read(tmp_path, kind):
    path = written(tmp_path, kind, np.concatenate([tone(1000, 6), tone(440, 6)]) + noise(12) / 50)
    os.truncate(path, size_of(path) // 2)
    samples = read_excerpt(path, Excerpt(16_000, 4.0))
    assert len(samples) >= 16_000
    assert pitch_of(samples[:16_000], 16_000) == 1000


@pytest.mark.parametrize("kind", ["flac", "mp3"])
def test_where_the_middle_is_rubbish_the_beginning_is_read(tmp_path, kind):
    path = written(tmp_path, kind, tone(1000, 12) + noise(12) / 50)
    size = size_of(path)
    overwritten(path, size // 3, np.random.default_rng(0).bytes(size // 2))
    samples = read_excerpt(path, Excerpt(16_000, 4.0))
    assert len(samples) >= 32_000
    assert pitch_of(samples[:32_000], 16_000) == 1000


def streaminfo(path, **changes):
    """Write other numbers of samples or samples a second into the header of a FLAC file."""
    word = int.from_bytes(Path(path).read_bytes()[18:26], "big")
    total, rate = changes.get("total", word & (1 << 36) - 1), changes.get("rate", word >> 44)
    return overwritten(path, 18, (rate << 44 | (word >> 36 & 0xFF) << 36 | total).to_bytes(8, "big"))


def test_a_stream_that_does_not_tell_its_length_is_read_from_its_beginning(tmp_path):
    path = streaminfo(written(tmp_path, "flac", np.concatenate([tone(1000, 3), tone(440, 3)])), total=0)
    samples = read_excerpt(path, Excerpt(16_000, 2.0))
    assert len(samples) == 32_000
    assert pitch_of(samples, 16_000) == 1000


# --- files that give no sound -----------------------------------------------------------------------------------------


def patched(folder, place, content):
    return overwritten(written(folder, "wav", noise()), place, content)


def holding(folder, name, content):
    (folder / name).write_bytes(content)
    return str(folder / name)


def sparse(folder):
    path = written(folder, "wav", noise())
    os.truncate(path, 3 << 30)
    return path


def with_one(folder, value):
    sound = noise()
    sound[32_000] = value
    return written(folder, "wav", sound, subtype="FLOAT")


def pipe(folder):
    os.mkfifo(folder / "pipe.wav")
    return str(folder / "pipe.wav")


def loop(folder):
    (folder / "loop.wav").symlink_to(folder / "loop.wav")
    return str(folder / "loop.wav")


def zeroed(folder, kind):
    """A header, and then nothing but zeros."""
    path = written(folder, kind, noise())
    return overwritten(path, 200, bytes(size_of(path) - 200))


RANDOM = np.random.default_rng(0).bytes(150_000)
NO_FORMAT = "it is of no format that libsndfile reads, or its header is broken"
NO_SAMPLE = "it holds no sample that can be decoded"
BAD = {
    "missing": (lambda folder: str(folder / "gone.wav"), "there is no such file"),
    "zero byte in its path": (lambda folder: f"{folder}/a\0.wav", "it cannot be opened (embedded null byte)"),
    "link to itself": (loop, "it cannot be opened (Too many levels of symbolic links)"),
    "folder": (str, "it is a folder"),
    "pipe": (pipe, "it is no regular file"),
    "empty": (lambda folder: holding(folder, "x.mp3", b""), "it is empty"),
    "huge": (sparse, "its size of 3.0 GiB is more than 2"),
    "text": (lambda folder: holding(folder, "x.mp3", b"no sound\n" * 500), "it is text"),
    "page": (lambda folder: holding(folder, "x.wav", b"<html>404</html>"), "it is text"),
    "picture": (lambda folder: holding(folder, "x.mp3", b"\x89PNG\r\n\x1a\n" + RANDOM), "it is a PNG picture"),
    "photograph": (lambda folder: holding(folder, "x.ogg", b"\xff\xd8\xff\xe0" + RANDOM), "it is a JPEG picture"),
    "archive": (lambda folder: holding(folder, "x.wav", b"PK\x03\x04" + RANDOM), "it is a ZIP archive"),
    "m4a": (
        lambda folder: holding(folder, "x.m4a", b"\0\0\0\x20ftypM4A " + RANDOM),
        "it is an MP4 or M4A file, which libsndfile does not read",
    ),
    "noise": (lambda folder: holding(folder, "x.mp3", RANDOM), NO_FORMAT),
    "a tag and noise": (lambda folder: holding(folder, "x.mp3", b"ID3\3\0\0\0\0\0\0" + RANDOM), NO_FORMAT),
    "headerless": (lambda folder: holding(folder, "x.raw", RANDOM), NO_FORMAT),
    "no channel": (lambda folder: patched(folder, 22, struct.pack("<H", 0)), NO_FORMAT),
    "0 Hz": (lambda folder: patched(folder, 24, struct.pack("<I", 0)), NO_FORMAT),
    "0 Hz, FLAC": (lambda folder: streaminfo(written(folder, "flac", noise()), rate=0), NO_FORMAT),
    "7 Hz": (lambda folder: patched(folder, 24, struct.pack("<I", 7)), "its header claims 7 samples a second"),
    "2 MHz": (
        lambda folder: patched(folder, 24, struct.pack("<I", 2_000_000)),
        "its header claims 2000000 samples a second",
    ),
    "16 channels": (
        lambda folder: written(folder, "wav", np.zeros((100, 16), np.float32)),
        "its header claims 16 channels",
    ),
    "billions of frames": (
        lambda folder: streaminfo(written(folder, "flac", noise()), total=(1 << 36) - 1),
        "its header claims to last 1193 hours",
    ),
    "no frame": (lambda folder: written(folder, "wav", np.zeros(0, np.float32)), NO_SAMPLE),
    "cut off in its header": (lambda folder: holding(folder, "x.flac", b"fLaC\0\0\0\x22"), NO_FORMAT),
    "only a header": (lambda folder: zeroed(folder, "flac"), NO_SAMPLE),
    "only a header, OGG": (lambda folder: zeroed(folder, "ogg"), NO_FORMAT),
    "only a header, MP3": (lambda folder: zeroed(folder, "mp3"), NO_FORMAT),
    "NaN": (lambda folder: with_one(folder, np.nan), "it holds NaN or infinite samples"),
    "infinity": (lambda folder: with_one(folder, -np.inf), "it holds NaN or infinite samples"),
    "infinities that meet": (
        lambda folder: written(folder, "wav", np.array([[np.inf, -np.inf]] * 9), subtype="FLOAT"),
        "it holds NaN or infinite samples",
    ),
    "more than a float": (
        lambda folder: written(folder, "wav", np.full(100, 1e300), subtype="DOUBLE"),
        "it holds NaN or infinite samples",
    ),
    "absurdly loud": (lambda folder: with_one(folder, 1e30), "its samples reach 1e+30, where 1 is full scale"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_clause_says_why_there_is_no_sound(tmp_path, capfd, what):
    make, reason = BAD[what]
    with pytest.raises(UnreadableError) as raised:
        read_excerpt(make(tmp_path), LONG)
    assert str(raised.value) == reason
    assert capfd.readouterr() == ("", "")


# --- what the decoder prints ------------------------------------------------------------------------------------------


def test_the_decoder_prints_nothing_to_standard_error(tmp_path, capfd):
    path = written(tmp_path, "mp3", noise(12))
    overwritten(path, size_of(path) // 3, RANDOM[:20_000])
    with pytest.raises(soundfile.SoundFileError):
        soundfile.read(path)
    assert "libmpg123" in capfd.readouterr().err  # as it would
    assert len(read_excerpt(path, LONG))
    assert capfd.readouterr() == ("", "")


def test_what_others_print_meanwhile_is_kept(capfd):
    with _without_chatter():
        os.write(2, b"Note: Trying to resync...\n[src/libmpg123/parse.c:wetwork():1349] error: x\nTraceback\n  line\n")
    assert capfd.readouterr().err == "Traceback\n  line\n"


# --- columns ----------------------------------------------------------------------------------------------------------


def test_each_path_is_read_once_and_faults_are_rows_of_zeros(tmp_path):
    good, bad = written(tmp_path, "wav", noise()), holding(tmp_path, "x.mp3", b"")
    values = np.array([good, None, bad, good, bad], object)
    read = []

    def encode(samples):
        read.append(len(samples))
        return np.array([1.0, len(samples)])

    features, faults = encode_sounds(Column("sound", "audio", values), LONG, 2, encode)
    assert features.tolist() == [[1, 64_000], [0, 0], [0, 0], [1, 64_000], [0, 0]]
    assert features.dtype == np.float32
    assert faults == {bad: "it is empty"}
    assert read == [64_000]


def test_without_soundfile_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(PluginError, match=r"needs the package soundfile: pip install 'recsmith\[audio\]'"):
        read_excerpt(str(tmp_path / "x.wav"), LONG)
