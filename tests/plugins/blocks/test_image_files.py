"""Pictures from files: known answers for every kind of picture, and a clause for everything that is none."""

import io
import os
import struct
import subprocess
import sys
import wave
import zlib
from pathlib import Path

import numpy as np
import pytest

from recsmith.contracts.data import Column
from recsmith.contracts.errors import PluginError
from recsmith_plugins.blocks.image_files import UnreadableError, encode_pictures, read_image

Image = pytest.importorskip("PIL.Image")

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture
def saved(tmp_path):
    """Saves a picture under a name and returns the path."""

    def save(picture, name, **settings):
        path = tmp_path / name
        picture.save(path, **settings)
        return str(path)

    return save


def scene(width=64, height=48):
    """A smooth picture without symmetry."""
    down, right = np.mgrid[0:height, 0:width]
    pixels = np.stack([right * 255 // width, down * 255 // height, (right + down) % 64 * 2], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width, height):
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def encoded(picture, kind, **settings):
    target = io.BytesIO()
    picture.save(target, kind, **settings)
    return target.getvalue()


# --- what pictures become ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.webp", "a.gif"])
def test_a_picture_of_the_asked_size_comes_as_it_is(saved, name):
    picture = Image.new("RGB", (8, 8), RED)
    picture.paste(GREEN, (4, 0, 8, 8))
    settings = {"lossless": True} if name.endswith("webp") else {}
    pixels = read_image(saved(picture, name, **settings), 8)
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == np.array(picture).tolist()


def test_a_file_is_read_by_its_content_and_not_by_its_name(saved):
    path = saved(Image.new("RGB", (5, 5), BLUE), "picture.jpg", format="PNG")
    assert (read_image(path, 4) == BLUE).all()


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),  # a fifth of black on white
        ("LA", (0, 51), (204, 204, 204)),
        ("L", 77, (77, 77, 77)),
        ("1", 1, WHITE),
    ],
)
def test_transparency_lies_on_white_and_greys_have_three_equal_channels(saved, mode, colour, expected):
    assert (read_image(saved(Image.new(mode, (30, 20), colour), "a.png"), 6) == expected).all()


def test_a_transparent_colour_of_a_palette_is_white(saved):
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 0, 0, 255])
    picture.paste(0, (0, 0, 4, 8))
    opaque = read_image(saved(picture, "opaque.png"), 8)
    assert (opaque[:, :4] == 0).all()
    pixels = read_image(saved(picture, "see_through.png", transparency=0), 8)
    assert (pixels[:, :4] == WHITE).all()
    assert (pixels[:, 4:] == BLUE).all()


def test_a_hidden_colour_does_not_bleed_into_what_is_seen(saved):
    picture = Image.new("RGBA", (64, 64), (255, 0, 0, 0))  # red that nobody sees
    picture.paste((0, 0, 255, 255), (32, 0, 64, 64))
    pixels = read_image(saved(picture, "a.png"), 4)
    assert (pixels[:, 0] == WHITE).all()
    assert (pixels[..., 0] == pixels[..., 1]).all()  # white mixed with blue: no redder than green


@pytest.mark.parametrize(
    ("ink", "expected"), [((0, 0, 0, 0), WHITE), ((0, 255, 255, 0), RED), ((0, 0, 0, 255), (0, 0, 0))]
)
def test_ink_becomes_light(saved, ink, expected):
    pixels = read_image(saved(Image.new("CMYK", (16, 16), ink), "a.jpg", quality=100), 4)
    np.testing.assert_allclose(pixels, np.broadcast_to(expected, (4, 4, 3)), atol=2)


def test_sixteen_bits_are_cut_to_eight(saved):
    levels = np.array([[0, 255, 256, 0x8000, 0xFFFF]], np.uint16).repeat(5, axis=0)
    pixels = read_image(saved(Image.fromarray(levels), "a.png"), 5)
    assert pixels[2, :, 1].tolist() == [0, 0, 1, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_a_picture_stands_upright_as_its_exif_data_say(saved, kind, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(scene(), f"a.{kind}", exif=exif)
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB").resize((16, 16), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(read_image(path, 16).astype(int), np.array(upright).astype(int), atol=3)


@pytest.mark.parametrize("exif", [b"Exif\x00\x00rubbish", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"", b"Exif\x00\x00"])
def test_broken_exif_data_do_not_harm_a_picture(saved, exif):
    assert (read_image(saved(Image.new("RGB", (8, 8), WHITE), "a.jpg", exif=exif), 4) == WHITE).all()


def test_of_many_frames_the_first_is_read(saved, tmp_path):
    frames = [Image.new("RGB", (8, 8), (0, 0, min(place, 255))) for place in range(1, 400)]
    path = saved(Image.new("RGB", (8, 8), RED), "a.gif", save_all=True, append_images=frames)
    assert (read_image(path, 4) == RED).all()
    for kind in ("webp", "png"):
        moving = saved(Image.new("RGB", (8, 8), RED), f"a.{kind}", save_all=True, append_images=frames[:5])
        np.testing.assert_allclose(read_image(moving, 4), np.broadcast_to(RED, (4, 4, 3)), atol=4)
    twin = saved(Image.new("RGB", (8, 8), WHITE), "a.jpg", format="MPO", save_all=True, append_images=frames[:1])
    assert (read_image(twin, 4) == WHITE).all()


def test_the_whole_picture_is_stretched_to_the_square_or_its_middle_cut_out(saved):
    picture = Image.new("RGB", (80, 40), WHITE)
    picture.paste(RED, (0, 0, 20, 40))
    picture.paste(BLUE, (30, 10, 50, 30))  # half of the shorter side, in the middle
    path = saved(picture, "a.png")
    assert (read_image(path, 8)[:, 0] == RED).all()
    assert (read_image(path, 8, crop=0.5)[2:-2, 2:-2] == BLUE).all()
    upright = saved(picture.transpose(Image.Transpose.ROTATE_90), "b.png")
    assert (read_image(upright, 8, crop=0.5)[2:-2, 2:-2] == BLUE).all()


def test_a_large_jpeg_that_is_decoded_at_a_fraction_hardly_differs(saved):
    picture = scene(1600, 1200)
    path = saved(picture, "a.jpg", quality=95)
    for crop in (None, 0.875):
        side = 0.875 * 1200
        box = None if crop is None else ((1600 - side) / 2, (1200 - side) / 2, (1600 + side) / 2, (1200 + side) / 2)
        with Image.open(path) as whole:
            expected = np.array(whole.resize((64, 64), Image.Resampling.BICUBIC, box)).astype(int)
        difference = np.abs(read_image(path, 64, crop) - expected)
        assert difference.max() <= 8
        assert difference.mean() < 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 2)])
def test_the_smallest_and_the_thinnest_pictures_are_read(saved, shape):
    for name in ("a.png", "a.jpg", "a.gif"):
        pixels = read_image(saved(Image.new("RGB", shape, WHITE), name), 32)
        assert (pixels == WHITE).all()
        assert (read_image(saved(Image.new("RGB", shape, WHITE), name), 32, crop=0.875) == WHITE).all()


# --- what is none -----------------------------------------------------------------------------------------------------


def wav():
    target = io.BytesIO()
    with wave.open(target, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(4000))
    return target.getvalue()


def png_with(*chunks):
    whole = encoded(scene(), "PNG")
    return whole[:33] + b"".join(chunks) + whole[33:]  # behind the header


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def vp8x(width, height):
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4)
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif(width, height):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0)


def bmp(width, height):
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)


def jpeg_claiming(width, height):
    data = encoded(scene(), "JPEG")
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


BOMB = zlib.compress(bytes(3_000_000))  # 3 kB
UNKNOWN = "it is no JPEG, PNG, WebP, GIF or BMP picture, or its header is broken"
BROKEN = "it is cut off or broken ("
TOO_MANY = "its header claims "

BAD = {
    "empty.jpg": (b"", "it is empty"),
    "text.jpg": (b"No picture, only words.\n" * 20, UNKNOWN),
    "page.png": (b"<!doctype html><title>404</title>", UNKNOWN),
    "drawing.png": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', UNKNOWN),
    "sound.png": (wav(), UNKNOWN),
    "zeros.bmp": (bytes(5000), UNKNOWN),
    "one_byte.gif": (b"G", UNKNOWN),
    "other_format.jpg": (encoded(scene(), "TIFF"), UNKNOWN),
    "postscript.jpg": (encoded(scene(), "EPS"), UNKNOWN),  # Pillow would run a program to read it
    "cut.jpg": (encoded(scene(400, 300), "JPEG")[:3000], BROKEN),
    "cut.png": (encoded(scene(), "PNG")[:90], BROKEN),
    "cut.gif": (encoded(scene(), "GIF")[:-900], BROKEN),
    "cut.bmp": (encoded(scene(), "BMP")[:-900], BROKEN),
    "cut.webp": (encoded(scene(), "WEBP", lossless=True)[:60], BROKEN),
    "only_header.png": (png_header(20, 20), UNKNOWN),
    "only_marker.jpg": (b"\xff\xd8\xff\xe0", UNKNOWN),
    "damaged.png": (flipped(encoded(scene(), "PNG"), 60), BROKEN),
    "no_size.png": (png_header(0, 0) + chunk(b"IDAT", zlib.compress(b"")), None),
    "bomb_by_header.png": (png_header(20_000, 20_000) + chunk(b"IDAT", b""), TOO_MANY),
    "more_than_pillow_takes.png": (png_header(2**30, 2**30) + chunk(b"IDAT", b""), TOO_MANY),
    "warned_of_by_pillow.png": (png_header(10_000, 10_000) + chunk(b"IDAT", b""), TOO_MANY),
    "bomb.gif": (gif(65535, 65535), None),
    "frame_beyond_its_screen.gif": (
        b"GIF89a"
        + struct.pack("<HHBBB", 8, 8, 0, 0, 0)
        + b","
        + struct.pack("<HHHHB", 0, 0, 65000, 65000, 0)
        + b"\x02",
        TOO_MANY,
    ),
    "bomb.webp": (vp8x(12_000, 12_000), None),
    "bomb.bmp": (bmp(30_000, 30_000), TOO_MANY),
    "bomb.jpg": (jpeg_claiming(65_000, 65_000), TOO_MANY),
    "bomb_in_text.png": (png_with(chunk(b"zTXt", b"Comment\x00\x00" + BOMB)), BROKEN),
    "bomb_in_unicode.png": (png_with(chunk(b"iTXt", b"Comment\x00\x01\x00\x00\x00" + BOMB)), BROKEN),
    "bomb_in_profile.png": (png_with(chunk(b"iCCP", b"profile\x00\x00" + BOMB)), BROKEN),
    "many_texts.png": (png_with(*[chunk(b"zTXt", b"C\x00\x00" + zlib.compress(bytes(10**6)))] * 70), BROKEN),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_sound_picture_gives_a_reason(tmp_path, name):
    content, expected = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableError) as caught:
        read_image(str(tmp_path / name), 32)
    reason = str(caught.value)
    assert reason.startswith(expected or ("it ", "its "))
    assert str(tmp_path) not in reason
    assert "\n" not in reason
    assert len(reason) < 130


def test_paths_that_lead_to_no_file_give_a_reason(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(300_000_000)  # sparse: takes no room
    reasons = {}
    for path in ("missing.jpg", "", "pipe.png", "huge.jpg", "\0.jpg", "x" * 5000, "pipe.png/a.jpg", "\ud800.jpg"):
        with pytest.raises(UnreadableError) as caught:
            read_image(str(tmp_path / path), 32)
        reasons[path[:9]] = str(caught.value)
    assert reasons == {
        "missing.j": "there is no such file",
        "": "it is a folder",
        "pipe.png": "it is no regular file",
        "huge.jpg": "its size of 300 MB is more than 200",
        "\0.jpg": "it cannot be opened (embedded null byte)",
        "xxxxxxxxx": "it cannot be opened (File name too long)",
        "pipe.png/": "it cannot be opened (Not a directory)",
        "\ud800.jpg": reasons["\ud800.jpg"],
    }
    assert reasons["\ud800.jpg"].startswith("it cannot be opened (")


SCRIPT = """
import sys
from recsmith_plugins.blocks import image_files
image_files.read_image(sys.argv[1], 16)  # imports what it needs
def peak():
    status = dict(line.split(":") for line in open("/proc/self/status"))
    return int(status["VmHWM"].split()[0]) / 1000  # MB
for path in sys.argv[2:]:
    before = peak()
    try:
        image_files.read_image(path, 16)
    except image_files.UnreadableError as reason:
        assert str(reason).startswith("its header claims"), reason
    print(peak() - before)
image_files.MOST_PIXELS = 10**9
before = peak()
image_files.read_image(sys.argv[2], 16)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the process's peak memory from /proc")
def test_a_decompression_bomb_is_refused_before_it_takes_memory(saved):
    """The last figure shows that each would have taken memory: the first one read without the limit."""
    small = saved(scene(), "small.png")
    bombs = [
        saved(Image.new("L", (7200, 7200)), "bomb.png"),
        saved(Image.new("L", (7200, 7200)), "bomb.webp", lossless=True, method=0),
        saved(Image.new("L", (7200, 7200)), "bomb.gif"),
    ]
    assert sum(Path(path).stat().st_size for path in bombs) < 1_000_000
    done = subprocess.run([sys.executable, "-c", SCRIPT, small, *bombs], capture_output=True, text=True, check=True)
    *refused, taken = map(float, done.stdout.split())  # MB
    assert len(refused) == 3
    assert max(refused) < 10
    assert taken > 40


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_damaged_bytes_give_a_picture_or_a_reason_and_nothing_else(tmp_path, kind):
    sound = np.frombuffer(encoded(scene(), kind), np.uint8)
    draw = np.random.default_rng(0)
    path, outcomes = tmp_path / "a", set()
    for _ in range(150):
        damaged = sound.copy()
        places = draw.integers(0, len(sound) if draw.random() < 0.5 else 80, draw.integers(1, 6))
        damaged[places] = draw.integers(0, 256, len(places))
        path.write_bytes(damaged[: draw.integers(1, len(sound) + 1)].tobytes() if draw.random() < 0.3 else damaged)
        try:
            outcomes.add(read_image(str(path), 16).shape)
        except UnreadableError:
            outcomes.add("reason")
    assert outcomes == {(16, 16, 3), "reason"}


# --- columns ----------------------------------------------------------------------------------------------------------


def column(*paths):
    values = np.empty(len(paths), object)
    values[:] = paths
    return Column("picture", "image", values)


def test_each_path_of_a_column_is_read_once_and_what_cannot_be_read_is_named(saved, tmp_path):
    red, blue = saved(Image.new("RGB", (9, 9), RED), "red.png"), saved(Image.new("RGB", (9, 9), BLUE), "blue.png")
    (tmp_path / "bad.png").write_bytes(b"")
    bad, seen = str(tmp_path / "bad.png"), []

    def mean(pixels):
        seen.append(pixels.shape)
        return pixels.mean(axis=(0, 1))

    features, faults = encode_pictures(column(red, None, blue, bad, red, bad), 4, 3, mean)
    assert features.dtype == np.float32
    assert features.tolist() == [[*RED], [0, 0, 0], [*BLUE], [0, 0, 0], [*RED], [0, 0, 0]]
    assert faults == {bad: "it is empty"}
    assert seen == [(4, 4, 3)] * 2


def test_without_pillow_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(PluginError, match=r"needs the package pillow: pip install 'recsmith\[image\]'"):
        encode_pictures(column(str(tmp_path / "a.png")), 4, 3, lambda pixels: pixels.mean(axis=(0, 1)))
    assert encode_pictures(column(None), 4, 3, lambda pixels: pixels)[0].tolist() == [[0, 0, 0]]  # nothing to read
