"""The network that learns to read pictures: what it is given, what it may change, and that it learns."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from recsmith.contracts.data import Column
from recsmith.contracts.plugins import BuildContext
from recsmith.testing.media import group_picture, png
from recsmith_plugins.encoders.image_cnn import ImageCNNConfig, build

pytest.importorskip("PIL")


def encoder_of(**settings):
    context = BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None)
    return build(ImageCNNConfig(**settings), context)


@pytest.fixture
def column(tmp_path):
    """A column of pictures, each the bytes of a file or None."""

    def write(*files):
        paths = np.empty(len(files), object)
        for place, content in enumerate(files):
            if content is not None:
                (tmp_path / f"{place}.png").write_bytes(content)
                paths[place] = str(tmp_path / f"{place}.png")
        return Column("poster", "image", paths)

    return write


def random_pixels(rows, size, seed=0):
    return torch.rand(rows, size * size * 3, generator=torch.Generator().manual_seed(seed))


# --- features ---------------------------------------------------------------------------------------------------------


def test_features_are_pixels_of_which_no_known_one_is_zero(column):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    pixels[0, 0], pixels[31, 31] = 0, 255
    black = np.zeros((50, 20, 3), np.uint8)
    encoder = encoder_of()
    features = encoder.features(column(png(pixels), None, png(black), b"no picture"))
    assert features.dtype == np.float32
    assert features.shape == (4, 32 * 32 * 3)
    np.testing.assert_array_equal(features[0] * 256 - 1, pixels.ravel())
    assert (features[2] == np.float32(1 / 256)).all()
    assert not features[[1, 3]].any()
    assert len(encoder.faults) == 1


@pytest.mark.parametrize("size", [24, 32, 48])
def test_the_size_is_that_of_the_settings(column, size):
    half = np.zeros((96, 96, 3), np.uint8)
    half[:, 48:] = 255
    features = encoder_of(size=size).features(column(png(half))).reshape(size, size, 3)
    assert (features[:, : size // 2 - 2] == np.float32(1 / 256)).all()
    assert (features[:, size // 2 + 2 :] == 1).all()


# --- the network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("augment", [True, False])
def test_a_vector_does_not_depend_on_the_rest_of_the_batch(augment):
    torch.manual_seed(0)
    module = encoder_of(augment=augment).module(8).train(mode=not augment)
    pixels = random_pixels(5, 32)
    together = module(pixels)
    assert together.shape == (5, 8)
    alone = torch.cat([module(pixels[row : row + 1]) for row in range(5)])
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=1e-5)


def test_it_changes_pictures_in_training_only_and_only_if_asked_to():
    torch.manual_seed(0)
    module, pixels = encoder_of().module(8), random_pixels(5, 32)
    module.eval()
    assert torch.equal(module(pixels), module(pixels))
    module.train()
    assert not torch.allclose(module(pixels), module(pixels))
    plain = encoder_of(augment=False).module(8).train()
    assert torch.equal(plain(pixels), plain(pixels))


def test_pictures_are_mirrored_moved_and_brightened_each_for_itself():
    torch.manual_seed(0)
    size, n = 32, 400
    ramp = (torch.arange(size) + 1.0) / 64
    picture = torch.stack(
        [ramp.expand(size, size), ramp[:, None].expand(size, size), torch.full((size, size), 0.25)], 2
    )
    changed = encoder_of().module(4).train()[0](picture.reshape(1, -1).expand(n, -1)) / 4 + 0.5  # [n, 3, size, size]
    light = changed[:, 2, 0, 0] / 0.25
    assert light.min() >= 0.8
    assert light.max() <= 1.2
    assert light.std() > 0.08
    torch.testing.assert_close(changed[:, 2], (0.25 * light)[:, None, None].expand(n, size, size))
    right, down = changed[:, 0] / light[:, None, None] * 64 - 1, changed[:, 1] / light[:, None, None] * 64 - 1
    assert (right - right[:, :1]).abs().max() < 1e-3  # what depended on the column only still does
    steps = right[:, 0].diff(dim=1)
    mirrored = steps.mean(1) < 0
    assert 150 < mirrored.sum() < 250
    assert set(steps.round().unique().tolist()) == {-1, 0, 1}
    moved = (down[:, 16, 0] - 16).round().unique().tolist()
    assert moved == list(range(-4, 5))


def test_it_learns_to_tell_groups_of_pictures_that_it_has_not_seen(column):
    draw = np.random.default_rng(0)
    groups = torch.arange(64) % 4
    features = encoder_of(size=24).features(column(*(group_picture(int(group), 4, draw) for group in groups)))
    pixels = torch.from_numpy(features)
    torch.manual_seed(0)
    module = encoder_of(size=24, channels=16, blocks=2).module(4)
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        cross_entropy(module(pixels[:32]), groups[:32]).backward()
        optimizer.step()
    module.eval()
    assert (module(pixels[32:]).argmax(1) == groups[32:]).float().mean() == 1


@pytest.mark.parametrize("settings", [{}, {"size": 24, "blocks": 4}, {"size": 48, "channels": 64, "blocks": 2}])
def test_first_vectors_are_small_and_every_weight_has_a_gradient(settings):
    torch.manual_seed(1)
    encoder = encoder_of(**settings)
    module = encoder.module(64)
    pixels = random_pixels(20, encoder.config.size)
    pixels[3] = 0  # a missing one
    vectors = module(pixels)
    assert 0.02 < vectors.std() < 0.1
    assert torch.isfinite(vectors).all()
    vectors.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())


def test_weights_follow_from_the_seed():
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([parameter.flatten() for parameter in encoder_of().module(8).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_encoders_of_pictures_are_imported_without_torch_and_pillow():
    names = ("efficientnet", "image_cnn", "image_statistics")
    code = "import sys\n" + "".join(f"import recsmith_plugins.encoders.{name}\n" for name in names)
    code += "print([name for name in ('torch', 'PIL') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
