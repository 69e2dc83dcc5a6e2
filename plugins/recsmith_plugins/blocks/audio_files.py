"""Sounds from files: an excerpt as mono samples at one rate, or a clause that says why there is none.

WAV, FLAC, OGG (Vorbis, Opus), MP3 and whatever else libsndfile reads.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import threading
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recsmith.contracts.data import Column, FloatArray

LARGEST = 1 << 31  # bytes of a file
LONGEST = 24 * 3600  # seconds that a header may claim
UNKNOWN = 1 << 62  # frames and more: libsndfile's way to say that the header does not tell how many there are
RATES = (1_000, 384_000)  # samples a second
CHANNELS = 8
LOUDEST = 1e5  # where 1 is full scale; 32-bit samples that somebody left at 16-bit scale reach 32768
TERMS = 2_000  # of the fraction by which rates are converted; 44100 to 16000 needs 441

# What is no sound begins like this; libsndfile would take some of it for MP3.
OTHERS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x1a\x45\xdf\xa3": "a Matroska or WebM file, which libsndfile does not read",
    b"\x30\x26\xb2\x75": "a WMA file, which libsndfile does not read",
}
QUIET = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM")  # libsndfile's own decoders, which print nothing
CHATTER = re.compile(rb"^(\[src/libmpg123/|Note: |Warning: |\s*$)")  # lines that the MP3 decoder prints
SPHERE = b"NIST_1A"  # sounds whose header is text
ALONE = threading.RLock()


class UnreadableError(Exception):
    """A file that gives no sound; the message is one clause: "it is empty"."""


@dataclass(frozen=True)
class Excerpt:
    """How a sound is read: at `rate` samples a second, at most `seconds` from its middle."""

    rate: int
    seconds: float


def encode_sounds(
    column: Column, excerpt: Excerpt, width: int, encode: Callable[[FloatArray], FloatArray]
) -> tuple[FloatArray, dict[str, str]]:
    """Features [R, width] of the sounds of a column, and why files could not be read: path -> clause.

    `encode` makes `width` numbers of the samples [n] of one sound; each path is read once. A value that is missing, or
    cannot be read, is a row of zeros.

    Raises:
        PluginError: soundfile is not installed.
    """
    rows: dict[str, list[int]] = {}
    for row, path in enumerate(column.values):
        if path is not None:
            rows.setdefault(str(path), []).append(row)
    features, faults = np.zeros((len(column.values), width), np.float32), dict[str, str]()
    for path, places in rows.items():
        try:
            features[places] = encode(read_excerpt(path, excerpt))
        except UnreadableError as reason:
            faults[path] = str(reason)
    return features, faults


def read_excerpt(path: str, excerpt: Excerpt) -> FloatArray:
    """The samples [n] of the middle of a sound, n at least 1; float32, finite, the mean of the channels.

    Where the middle cannot be reached (a file that is cut off, or does not say how long it is), those of the beginning.
    Only the excerpt is ever in memory.

    Raises:
        UnreadableError: there is none.
        PluginError: soundfile is not installed.
    """
    library = _library()
    beginning = _beginning(path)
    with nullcontext() if beginning.startswith(QUIET) else _without_chatter():
        samples, rate = _decoded(library, os.fsencode(path), excerpt.seconds)
    return _at_rate(samples, rate, excerpt.rate)


def _library() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package is there, and libsndfile is not
        raise PluginError("reading sounds needs the package soundfile: pip install 'recsmith[audio]'.") from error
    return soundfile


def _beginning(path: str) -> bytes:
    """The first bytes of a file that may hold a sound."""
    try:
        status = Path(path).stat()  # before it is opened: opening a pipe would wait for ever
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no regular file")
        if not status.st_size:
            raise UnreadableError("it is empty")
        if status.st_size > LARGEST:
            raise UnreadableError(f"its size of {status.st_size / 2**30:.1f} GiB is more than {LARGEST / 2**30:.0f}")
        with Path(path).open("rb") as file:
            beginning = file.read(512)
    except FileNotFoundError:
        raise UnreadableError("there is no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise UnreadableError(f"it cannot be opened ({getattr(error, 'strerror', None) or error})") from None
    for mark, what in OTHERS.items():
        if beginning.startswith(mark):
            raise UnreadableError(f"it is {what}")
    if beginning[4:8] == b"ftyp":
        raise UnreadableError("it is an MP4 or M4A file, which libsndfile does not read")
    if re.fullmatch(rb"(\xef\xbb\xbf)?[\t\n\f\r -~]+", beginning) and not beginning.startswith(SPHERE):
        raise UnreadableError("it is text")
    return beginning


def _decoded(library: Any, path: bytes, seconds: float) -> tuple[FloatArray, int]:
    """Mono samples [n] and their rate: from the middle, else from the beginning."""
    try:
        with library.SoundFile(path) as sound:
            _check_header(sound)
            rate, wanted = sound.samplerate, max(1, round(seconds * sound.samplerate))
            spare = sound.frames - wanted
            if 0 < spare < UNKNOWN:
                with suppress(library.SoundFileError):
                    sound.seek(spare // 2)
                    samples = _samples(library, sound, wanted)
                    if len(samples):
                        return samples, rate
        with library.SoundFile(path) as sound:  # anew: a decoder that has lost its place may not find it again
            samples = _samples(library, sound, wanted)
    except (library.SoundFileError, TypeError) as error:  # TypeError: a headerless .raw, of which nobody knows the rate
        raise UnreadableError("it is of no format that libsndfile reads, or its header is broken") from error
    if not len(samples):
        raise UnreadableError("it holds no sample that can be decoded")
    return samples, rate


def _check_header(sound: Any) -> None:
    if not RATES[0] <= sound.samplerate <= RATES[1]:
        raise UnreadableError(f"its header claims {sound.samplerate} samples a second")
    if not 1 <= sound.channels <= CHANNELS:
        raise UnreadableError(f"its header claims {sound.channels} channels")
    if LONGEST * sound.samplerate < sound.frames < UNKNOWN:
        raise UnreadableError(f"its header claims to last {sound.frames / sound.samplerate / 3600:.0f} hours")


def _samples(library: Any, sound: Any, wanted: int) -> FloatArray:
    """Up to `wanted` mono samples from where the file stands, read second by second: what is decoded before a fault."""
    parts: list[FloatArray] = []
    with suppress(library.SoundFileError):
        while wanted > 0:
            block = sound.read(min(wanted, sound.samplerate), dtype="float32", always_2d=True)  # [n, channels]
            if not len(block):
                break
            _check_samples(block)
            parts.append(block.mean(axis=1))
            wanted -= len(block)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _check_samples(block: FloatArray) -> None:
    if not np.isfinite(block).all():
        raise UnreadableError("it holds NaN or infinite samples")
    if (loudest := float(np.abs(block).max())) > LOUDEST:
        raise UnreadableError(f"its samples reach {loudest:.3g}, where 1 is full scale")


def _at_rate(samples: FloatArray, rate: int, wanted: int) -> FloatArray:
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    ratio = Fraction(wanted, rate).limit_denominator(TERMS)  # odd rates to a millionth: filters stay short
    resampled: FloatArray = resample_poly(samples, ratio.numerator, ratio.denominator).astype(np.float32, copy=False)
    return resampled


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep what the MP3 decoder prints from standard error, and nothing else.

    It prints its warnings past Python, and has no switch that soundfile reaches. One thread at a time: the process has
    one standard error, and what was redirected last must come back first.
    """
    with ALONE, tempfile.TemporaryFile() as aside:
        try:
            kept = os.dup(2)
        except OSError:  # a process without one
            yield
            return
        os.dup2(aside.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            aside.seek(0)
            for line in aside:  # of other threads
                if not CHATTER.match(line):
                    os.write(2, line)
