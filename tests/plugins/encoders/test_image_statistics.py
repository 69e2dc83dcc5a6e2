"""Statistics of pictures: those that can be told beforehand, and those of libraries that we did not write."""

import colorsys

import numpy as np
import pytest
from scipy.stats import moment

from recsmith.contracts.data import Column
from recsmith.contracts.plugins import BuildContext
from recsmith.testing.media import group_picture, png
from recsmith_plugins.encoders.image_statistics import (
    ImageStatisticsConfig,
    build,
    edges,
    hsv_histogram,
    moments,
    rgb_histogram,
)

pytest.importorskip("PIL")

THIRD = 1 / np.sqrt(3)


def encoder_of(**settings):
    context = BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None)
    return build(ImageStatisticsConfig(**settings), context)


@pytest.fixture
def column(tmp_path):
    """A column of pictures, each given as pixels, as the bytes of a file or as None."""

    def write(*pictures):
        paths = np.empty(len(pictures), object)
        for place, picture in enumerate(pictures):
            if picture is not None:
                paths[place] = str(tmp_path / f"{place}.png")
                content = picture if isinstance(picture, bytes) else png(picture)
                (tmp_path / f"{place}.png").write_bytes(content)
        return Column("poster", "image", paths)

    return write


def noise(seed=0, *, smooth=True):
    """64 x 64 pixels; smooth ones change little from one to the next."""
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3))
    if smooth:
        pixels = (np.cumsum(np.cumsum(pixels - 127.5, axis=0), axis=1) / 40 + 128).clip(0, 255)
    return pixels.astype(np.uint8)


def flat(*colour):
    return np.broadcast_to(np.array(colour, np.uint8), (64, 64, 3))


def named(encoder, row):
    """What is not zero in a row, by its label."""
    return {label: value for label, value in zip(encoder.labels(), row.tolist(), strict=True) if value}


def test_a_red_picture(column):
    encoder = encoder_of()
    found = named(encoder, encoder.features(column(flat(255, 0, 0)))[0])
    names = ["red mean", "red 224-256", "green 0-32", "blue 0-32", "hue 0-30", "saturation 75-100%", "value 75-100%"]
    assert found == pytest.approx(dict.fromkeys(names, THIRD))


@pytest.mark.parametrize(
    ("colour", "hue"),
    [
        ((255, 255, 0), "60-90"),
        ((0, 255, 0), "120-150"),
        ((0, 200, 255), "180-210"),
        ((0, 0, 255), "240-270"),
        ((255, 0, 128), "300-330"),
    ],
)
def test_a_hue_lies_in_its_part_of_the_circle(column, colour, hue):
    encoder = encoder_of(parts="colours")
    found = named(encoder, encoder.features(column(flat(*colour)))[0])
    assert [name for name in found if name.startswith("hue")] == [f"hue {hue}"]


def test_a_grey_has_no_hue_and_its_value_is_its_light(column):
    encoder = encoder_of()
    found = named(encoder, encoder.features(column(flat(100, 100, 100)))[0])
    assert not [name for name in found if name.startswith(("hue", "edges"))]
    assert found["saturation 0-25%"] == found["value 25-50%"] == pytest.approx(THIRD)
    assert found["blue mean"] == pytest.approx(THIRD * 100 / 255)


@pytest.mark.parametrize("seed", range(3))
def test_moments_are_those_of_scipy(seed):
    pixels = noise(seed)
    values = pixels.reshape(-1, 3) / 255
    expected = [values.mean(axis=0), np.sqrt(moment(values, 2)), np.cbrt(moment(values, 3))]
    np.testing.assert_allclose(moments(pixels), np.stack(expected, axis=1).ravel() / np.sqrt(3), atol=1e-12)


def test_colours_are_counted_as_numpy_and_colorsys_see_them():
    pixels = noise(1, smooth=False)
    values = pixels.reshape(-1, 3)
    counts = [np.histogram(values[:, channel], 8, (0, 256))[0] for channel in range(3)]
    np.testing.assert_allclose(rgb_histogram(pixels) ** 2 * 3 * 4096, np.concatenate(counts))
    hsv = np.array([colorsys.rgb_to_hsv(*(colour / 255)) for colour in values])
    parts = [
        np.histogram(hsv[:, 0], 12, (0, 1), weights=np.ptp(values, axis=1) / 255)[0],
        np.histogram(hsv[:, 1], 4, (0, 1))[0],
        np.histogram(hsv[:, 2], 4, (0, 1))[0],
    ]
    np.testing.assert_allclose(hsv_histogram(pixels) ** 2 * 3 * 4096, np.concatenate(parts), atol=1.01)
    assert np.abs(hsv_histogram(pixels) ** 2 * 3 * 4096 - np.concatenate(parts)).sum() < 5  # on the border of two parts


@pytest.mark.parametrize("cells", [2, 4, 8])
@pytest.mark.parametrize("seed", range(3))
def test_edges_are_those_of_scikit_image(cells, seed):
    skimage = pytest.importorskip("skimage.feature")
    pixels = noise(seed)
    luma = pixels @ np.array([0.299, 0.587, 0.114]) / 255
    expected = skimage.hog(luma, 9, (64 // cells, 64 // cells), (2, 2), block_norm="L2-Hys")
    np.testing.assert_allclose(edges(pixels, cells), expected / (cells - 1), atol=1e-6)


def test_an_edge_is_found_where_it_is_and_as_it_runs(column):
    step = np.zeros((64, 64, 3), np.uint8)
    step[24:] = 255  # light from the 25th row on: the gradient points down, in the second row of cells
    encoder = encoder_of(parts="edges")
    found = named(encoder, encoder.features(column(step))[0])
    assert {name.split()[1] for name in found} == {"80-100"}
    assert {name.split()[3].split(",")[0] for name in found} == {"1"}


@pytest.mark.parametrize("parts", ["all", "colours", "edges"])
@pytest.mark.parametrize("cells", [2, 4, 8])
def test_every_feature_has_a_label_of_its_own_and_groups_weigh_alike(column, parts, cells):
    encoder = encoder_of(parts=parts, cells=cells)
    features = encoder.features(column(noise(), noise(smooth=False), flat(255, 255, 255)))
    assert features.shape == (3, len(encoder.labels()))
    assert len(set(encoder.labels())) == len(encoder.labels())
    groups = {"all": 4, "colours": 3, "edges": 1}[parts]
    assert ((features**2).sum(axis=1) <= groups + 1e-5).all()


def test_pictures_of_one_hue_are_nearest_to_each_other(column):
    draw = np.random.default_rng(0)
    features = encoder_of().features(column(*(group_picture(place % 4, 4, draw) for place in range(16))))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    nearest = (unit @ unit.T - 2 * np.eye(16)).argmax(axis=1)
    assert (nearest % 4).tolist() == [0, 1, 2, 3] * 4


def test_what_cannot_be_read_is_zeros_and_named(column):
    asked = column(flat(1, 2, 3), None, b"no picture", b"")
    encoder = encoder_of()
    features = encoder.features(asked)
    assert features.any(axis=1).tolist() == [True, False, False, False]
    unknown = "it is no JPEG, PNG, WebP, GIF or BMP picture, or its header is broken"
    assert encoder.faults == {asked.values[2]: unknown, asked.values[3]: "it is empty"}
    encoder.features(asked.take(np.array([0])))
    assert encoder.faults == {}
