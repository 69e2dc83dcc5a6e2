"""Pictures and sounds as bytes, from nothing but numpy and the standard library: equal on every machine.

`kind_picture` and `kind_sound` draw the media of one of `KINDS` kinds: no single trait decides, as hues, registers and
tempi of kinds overlap, and place, size, turn, background, pitch, loudness and noise are random.
"""

from __future__ import annotations

import io
import struct
import wave
import zlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    Doubles = npt.NDArray[np.float64]

SOUND_RATE = 8000  # samples a second
KINDS = 8  # of pictures, and of sounds
SIDE = 128  # pixels of a kind's picture
HUE_SPREAD = 0.03  # deviation of a kind's hue; the hues of two kinds are 1 / KINDS apart
KIND_RATE, KIND_SECONDS = 16_000, 3  # of a kind's sound


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An RGB picture [height, width, 3] as a PNG file; stored, not deflated: zlib differs between machines."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, width * 3)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def wav(samples: npt.NDArray[np.float64], rate: int = SOUND_RATE) -> bytes:
    """Sound samples [n] between -1 and 1 as a mono 16-bit WAV file of `rate` samples a second."""
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return target.getvalue()


def group_picture(group: int, groups: int, generator: np.random.Generator) -> bytes:
    """A 32 x 32 PNG whose hue tells the group, with noise."""
    phase = 2 * np.pi * (group / groups + np.array([0.0, 1 / 3, 2 / 3]))
    colour = 128 + 90 * np.cos(phase)
    pixels = colour + generator.integers(-30, 31, size=(32, 32, 3))
    return png(np.clip(pixels, 0, 255).astype(np.uint8))


def group_sound(group: int, generator: np.random.Generator) -> bytes:
    """A quarter of a second of WAV whose pitch tells the group, with noise."""
    moment = np.arange(SOUND_RATE // 4) / SOUND_RATE
    pitch = 220.0 * 2 ** (group / 3)
    return wav(0.6 * np.sin(2 * np.pi * pitch * moment) + 0.05 * (generator.random(len(moment)) - 0.5))


# --- pictures of a kind -----------------------------------------------------------------------------------------------

# Each pattern is above zero where the first colour shows; x and y [SIDE, SIDE] count its cells from the middle.
PATTERNS: tuple[Callable[[Doubles, Doubles], Doubles], ...] = (
    lambda _, y: np.sin(2 * np.pi * y),  # stripes
    lambda x, y: np.sin(np.pi * x) * np.sin(np.pi * y),  # a chequerboard
    lambda x, y: 0.36 - np.hypot(x - np.round(x), y - np.round(y)),  # dots
    lambda x, y: np.sin(2 * np.pi * np.hypot(x, y)),  # rings
    lambda x, y: y - np.floor(y) - 2 * np.abs(x - np.round(x)),  # triangles
    lambda x, y: np.sin(8 * np.arctan2(y, x)),  # rays
    lambda x, y: 0.12 - np.minimum(np.abs(x - np.round(x)), np.abs(y - np.round(y))),  # a grid
    lambda x, y: np.sin(2 * np.pi * (y + 0.35 * np.sin(np.pi * x))),  # waves
)


def kind_picture(kind: int, generator: np.random.Generator) -> bytes:
    """A PNG of SIDE x SIDE: a round or square thing on a greyish background, whose pattern and hue tell the kind.

    Its place, size and turn, the pattern's fineness, and saturation, brightness, light and grain are random.
    """
    across, down = np.meshgrid(np.arange(SIDE) / SIDE - 0.5, np.arange(SIDE) / SIDE - 0.5)
    place, radius = generator.uniform(-0.1, 0.1, 2), generator.uniform(0.36, 0.5)
    turn, cells = generator.uniform(-0.2, 0.2), generator.uniform(6.5, 9.5)  # radians; across the picture
    x, y = across - place[0], down - place[1]
    turned = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    roundness = generator.choice([2.0, 8.0])  # 2 is a disc, 8 nearly a square
    inside = (np.abs(turned[0]) ** roundness + np.abs(turned[1]) ** roundness < radius**roundness)[..., None]
    shows = (PATTERNS[kind](cells * turned[0], cells * turned[1]) > 0)[..., None]
    hue = kind / KINDS + generator.normal(0, HUE_SPREAD)
    first = _colour(hue, generator.uniform(0.75, 0.95), generator.uniform(0.62, 0.78))
    second = _colour(hue + generator.uniform(-0.1, 0.1), generator.uniform(0.0, 0.5), generator.uniform(0.85, 0.95))
    behind = _colour(generator.random(), generator.uniform(0.0, 0.2), generator.uniform(0.4, 0.8))
    slope = generator.uniform(-0.3, 0.3, 2)
    light = 1 + (slope[0] * across + slope[1] * down)[..., None]
    pixels = light * np.where(inside, np.where(shows, first, second), behind)
    pixels += generator.normal(0, generator.uniform(0.02, 0.07), (SIDE, SIDE, 1))
    return png(np.clip(255 * pixels, 0, 255).astype(np.uint8))


def _colour(hue: float, saturation: float, brightness: float) -> Doubles:
    """Red, green and blue, 0 to 1; a hue of 0 is red, of 1 / 3 green."""
    place = (np.array([5.0, 3.0, 1.0]) + 6 * hue) % 6
    return brightness * (1 - saturation * np.clip(np.minimum(place, 4 - place), 0, 1))


# --- sounds of a kind -------------------------------------------------------------------------------------------------

# A wave makes one note: seconds since it began [n], its frequency in Hz, and a generator -> samples [n].


def _partials(t: Doubles, pitch: float, partials: Iterable[tuple[float, float, float]]) -> Doubles:
    """Sines that die away: their multiple of the pitch, their strength, and how fast they die, a second."""
    samples = np.zeros(len(t))
    for multiple, strength, decay in partials:
        samples += strength * np.sin(2 * np.pi * multiple * pitch * t) * np.exp(-decay * t)
    return samples


def _plucked(t: Doubles, pitch: float, _: np.random.Generator) -> Doubles:
    """A string: high overtones die first."""
    return _partials(t, pitch, ((n, 1 / n, 2.0 + 1.5 * n) for n in range(1, 9)))


def _drum(t: Doubles, pitch: float, generator: np.random.Generator) -> Doubles:
    """The higher the pitch, the more of it is noise: from a bass drum to a cymbal."""
    noise = generator.normal(size=len(t))
    share = float(np.clip(np.log2(pitch / 70) / 2, 0, 1))
    skin = np.sin(2 * np.pi * pitch * (t + 0.06 * (1 - np.exp(-t / 0.03))))
    samples: Doubles = (1 - share) * skin * np.exp(-t * 9) + share * np.diff(noise, prepend=0.0) * 0.5 * np.exp(-t * 22)
    return samples


def _organ(t: Doubles, pitch: float, _: np.random.Generator) -> Doubles:
    """Three keys at once, held."""
    pipes = ((1, 1.0), (2, 0.8), (3, 0.6), (4, 0.5), (6, 0.3), (8, 0.3))
    keys = ((n * 2 ** (step / 12), strength, 0.0) for step in (0, 4, 7) for n, strength in pipes)
    return _partials(t, pitch, keys) * np.minimum(t / 0.03, 1)


def _burst(t: Doubles, pitch: float, generator: np.random.Generator) -> Doubles:
    """Hiss that swells and dies; the pitch is that of a shiver in it."""
    swell = np.sin(np.pi * np.clip(t / t[-1], 0, 1)) ** 2
    samples: Doubles = generator.normal(size=len(t)) * swell * (1 + 0.3 * np.sin(2 * np.pi * pitch / 40 * t)) * 0.5
    return samples


def _lead(t: Doubles, pitch: float, _: np.random.Generator) -> Doubles:
    """A bare tone with vibrato, as of a flute."""
    phase = 2 * np.pi * pitch * t + 0.02 * pitch / 6 * np.sin(2 * np.pi * 6 * t)
    samples: Doubles = (
        (np.sin(phase) + 0.1 * np.sin(2 * phase)) * np.minimum(t / 0.04, 1) * np.clip((t[-1] - t) / 0.05, 0, 1)
    )
    return samples


def _bass(t: Doubles, pitch: float, _: np.random.Generator) -> Doubles:
    """A buzz of odd harmonics, low and short."""
    return _partials(t, pitch, ((n, 1.6 / (n + 0.6), 4.0) for n in range(1, 12, 2)))


def _bell(t: Doubles, pitch: float, _: np.random.Generator) -> Doubles:
    """Partials that are no harmonics, ringing on."""
    partials = ((0.5, 0.6), (1.0, 1.0), (1.19, 0.7), (1.56, 0.5), (2.0, 0.6), (2.74, 0.5), (3.76, 0.4), (5.1, 0.3))
    return _partials(t, pitch, ((multiple, strength, 0.8 + multiple) for multiple, strength in partials))


def _chirp(t: Doubles, pitch: float, generator: np.random.Generator) -> Doubles:
    """A whistle that sweeps up or down within a tenth of a second, as of a bird."""
    bend = generator.choice([-0.5, 0.8])
    samples: Doubles = np.sin(2 * np.pi * pitch * (t + bend * t**2 / 0.1 / 2)) * np.exp(-(((t - 0.06) / 0.035) ** 2))
    return samples


class _Voice(NamedTuple):
    """How a kind sounds: notes of one wave, at steps of a rhythm that comes again and again."""

    wave: Callable[[Doubles, float, np.random.Generator], Doubles]
    lowest: float  # Hz; the key is up to an octave higher
    semitones: tuple[int, ...]  # above the key, of one note after the other
    step: float  # seconds between notes, a third less to a third more
    ring: float  # seconds that a note sounds, at most


VOICES = (
    _Voice(_plucked, 165.0, (0, 4, 7, 12, 7, 4), 0.2, 1.0),
    _Voice(_drum, 60.0, (0, 24, 14, 24, 0, 24, 14, 26), 0.2, 0.4),
    _Voice(_organ, 130.0, (0, 5, 7, 0), 0.9, 1.3),
    _Voice(_burst, 200.0, (0,), 0.6, 0.5),
    _Voice(_lead, 440.0, (0, 2, 4, 7, 9, 7, 4, 2), 0.35, 0.5),
    _Voice(_bass, 55.0, (0, 0, 12, 0, 7, 0, 10, 12), 0.22, 0.3),
    _Voice(_bell, 330.0, (0, 7, 12, 4), 0.7, 2.0),
    _Voice(_chirp, 1800.0, (0, 3, 1, 5, 2), 0.25, 0.2),
)


def kind_sound(kind: int, generator: np.random.Generator) -> bytes:
    """A mono WAV of KIND_SECONDS at KIND_RATE: instrument, melody and rhythm tell the kind.

    Its key, tempo and loudness, where in the melody it begins, and the noise behind it are random.
    """
    voice, size = VOICES[kind], KIND_RATE * KIND_SECONDS
    key = voice.lowest * 2 ** generator.random()
    step = voice.step * generator.uniform(2 / 3, 4 / 3)
    place, samples = int(generator.integers(len(voice.semitones))), np.zeros(size)
    for start in range(int(KIND_RATE * step * generator.random()), size, int(KIND_RATE * step)):
        t = np.arange(min(int(KIND_RATE * voice.ring), size - start)) / KIND_RATE
        pitch = key * 2 ** (voice.semitones[place % len(voice.semitones)] / 12)
        if len(t) > 1:
            samples[start : start + len(t)] += generator.uniform(0.7, 1.0) * voice.wave(t, pitch, generator)
        place += 1
    samples /= np.sqrt(np.mean(samples**2)) + 1e-9
    samples += 10 ** generator.uniform(-1.5, -0.6) * generator.normal(size=size)  # 12 to 30 dB below
    loudest = generator.uniform(0.2, 0.9)
    return wav(loudest * samples / np.abs(samples).max(), KIND_RATE)
