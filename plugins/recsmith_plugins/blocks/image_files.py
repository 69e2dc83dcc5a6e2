"""Pictures from files that may be anything: read at one size, or a clause that says why there is none.

A catalogue's pictures come from strangers. A file's name is not believed, five formats are tried and no other, and a
picture's size is read in its header before anything is decoded. Nothing here warns.
"""

from __future__ import annotations

import stat
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.contracts.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from PIL import Image

    from recsmith.contracts.data import Column, FloatArray

    Pixels = npt.NDArray[np.uint8]  # [size, size, 3], RGB

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MOST_PIXELS = 50_000_000  # that a header may claim
MOST_BYTES = 200_000_000  # of a file
GAP = 2.0  # a picture is decoded at a fraction, or halved, while it stays so many times as large as asked for
ORIENTATION = 0x0112  # the Exif tag
SAID = 80  # characters of a decoder's message

# By Exif orientation, what sets a picture upright.
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class UnreadableError(ValueError):
    """A file that gives no picture; the message is one clause: "it is empty"."""


def encode_pictures(
    column: Column, size: int, width: int, encode: Callable[[Pixels], npt.NDArray[Any]], crop: float | None = None
) -> tuple[FloatArray, dict[str, str]]:
    """Features [R, width] of the pictures of a column, and why files could not be read: path -> clause.

    `encode` makes `width` numbers of one picture as `read_image` gives it; each path is read once, and one picture is
    held at a time. A value that is missing, or cannot be read, is a row of zeros.

    Raises:
        PluginError: Pillow is not installed.
    """
    rows: dict[str, list[int]] = {}
    for row, path in enumerate(column.values):
        if path is not None:
            rows.setdefault(str(path), []).append(row)
    features, faults = np.zeros((len(column.values), width), np.float32), dict[str, str]()
    for path, places in rows.items():
        try:
            features[places] = encode(read_image(path, size, crop))
        except UnreadableError as reason:
            faults[path] = str(reason)
    return features, faults


def read_image(path: str, size: int, crop: float | None = None) -> Pixels:
    """The picture in a file as RGB, uint8 [size, size, 3].

    Upright as its Exif orientation says, on white where it is transparent, 16 bits cut to 8, the first frame of
    several; colour profiles are not applied. The whole picture is stretched to the square; with `crop`, between 0 and
    1, it is the square in its middle whose side is that share of the shorter side. Bicubic, over the whole area that a
    pixel stands for.

    Raises:
        UnreadableError: there is no such file, it holds no picture, or a broken or too large one.
        PluginError: Pillow is not installed.
    """
    try:
        from PIL import WebPImagePlugin  # noqa: F401 - else Pillow imports every format there is to find it
    except ImportError as error:
        raise PluginError("reading pictures needs the package pillow: pip install 'recsmith[image]'.") from error
    _check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd metadata, and of sizes that are refused here anyway
        try:
            return _decoded(path, size, crop)
        except UnreadableError:
            raise
        except Exception as error:  # OSError, SyntaxError, struct.error, zlib.error: whatever a decoder stumbles into
            said = str(error).split("\n", maxsplit=1)[0][:SAID] or type(error).__name__
            raise UnreadableError(f"it is cut off or broken ({said})") from error


def _check_file(path: str) -> None:
    """See that there is a file of a sane size, before it is opened: a pipe would block, and a device never end."""
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        raise UnreadableError("there is no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise UnreadableError(f"it cannot be opened ({getattr(error, 'strerror', None) or error})") from None
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("it is a folder" if stat.S_ISDIR(status.st_mode) else "it is no regular file")
    if not status.st_size:
        raise UnreadableError("it is empty")
    if status.st_size > MOST_BYTES:
        raise UnreadableError(f"its size of {status.st_size // 10**6} MB is more than {MOST_BYTES // 10**6}")


def _decoded(path: str, size: int, crop: float | None) -> Pixels:
    from PIL import Image, UnidentifiedImageError

    try:
        opened = Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        raise UnreadableError("it is no JPEG, PNG, WebP, GIF or BMP picture, or its header is broken") from None
    except Image.DecompressionBombError:  # larger than Pillow would say without decoding
        raise UnreadableError(_too_many()) from None
    except PermissionError as error:
        raise UnreadableError(f"it cannot be opened ({error.strerror})") from None
    with opened as image:
        if image.width * image.height > MOST_PIXELS:
            raise UnreadableError(_too_many(f"{image.width} x {image.height}"))
        least = max(round(size * GAP / (crop or 1.0)), 1)
        image.draft(None, (least, least))  # a JPEG is then decoded at 1/2, 1/4 or 1/8
        image.load()
        small, turn = _at_size(image, size, crop), TURNS.get(_orientation(image))
    # A square from the middle may be turned when it is cut out already.
    upright = small if turn is None else small.transpose(Image.Transpose[turn])
    return np.array(upright, np.uint8)


def _too_many(claim: str = "too many") -> str:
    return f"its header claims {claim} pixels, and {MOST_PIXELS // 10**6} million are the most"


def _orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - of broken Exif data anything may come; the picture is none the worse for it
        return 1


def _at_size(image: Image.Image, size: int, crop: float | None) -> Image.Image:
    """The decoded picture as RGB [size, size]. A transparent one is laid on white when it is small."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip instead of scaling
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode not in {"L", "RGB"}:
        image = image.convert("RGB")
    box = None
    if crop is not None:
        side = crop * min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
    small = image.resize((size, size), Image.Resampling.BICUBIC, box, GAP)
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    return small.convert("RGB")
