"""Pictures and sounds as bytes, from nothing but the standard library: equal on every machine."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

SOUND_RATE = 8000  # samples a second


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An RGB picture [height, width, 3] as a PNG file; stored, not deflated: zlib differs between machines."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, width * 3)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def wav(samples: npt.NDArray[np.float64]) -> bytes:
    """Sound samples [n] between -1 and 1 as a mono 16-bit WAV file of `SOUND_RATE`."""
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SOUND_RATE)
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
