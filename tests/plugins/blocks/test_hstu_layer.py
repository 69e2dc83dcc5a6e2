from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from recsmith_plugins.blocks import hstu_layer
from recsmith_plugins.blocks.hstu_layer import BUCKETS, UNKNOWN, Bias, HSTULayer, attend, time_buckets

B, H, T, D = 3, 2, 7, 8  # D is that of each head


def moments(seed=0):
    """Moments [B, T] with long and short gaps and ties, the last history padded by zeros."""
    rng = np.random.default_rng(seed)
    gaps = np.where(rng.random((B, T)) < 0.3, 0, 10 ** rng.integers(0, 8, (B, T)))
    times = 1_500_000_000 + np.cumsum(gaps, 1)
    times[-1, 5:] = 0
    return torch.from_numpy(times)


def random_bias(dtype=torch.float32):
    bias = Bias(H, T).to(dtype)
    for parameter in bias.parameters():
        torch.nn.init.normal_(parameter)
    return bias


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        yield


def test_buckets_are_logarithms_of_the_time_back_to_each_older_input():
    times = moments()
    expected = [
        [[math.floor(np.float32(math.log1p(max(a - b, 0))) / np.float32(0.301)) for b in row] for a in row]
        for row in (times - times[:, :1]).clamp_min(0).tolist()
    ]
    buckets = time_buckets(times)
    assert buckets.dtype == torch.uint8
    assert buckets.tolist() == expected
    assert len(set(buckets.flatten().tolist())) > 8


def test_the_longest_time_has_the_last_bucket_before_that_of_the_unknown():
    assert time_buckets(torch.tensor([[0, 2**40]]))[0].tolist() == [[0, 0], [BUCKETS - 1, 0]]
    assert UNKNOWN == BUCKETS < 256


def one_by_one(query, key, value, places, times, buckets):
    """The attention as the paper writes it, a pair at a time, in numpy."""
    out = np.zeros_like(value)
    for b, h, t in np.ndindex(B, H, T):
        for s in range(t + 1):
            bucket = UNKNOWN if buckets is None else buckets[b, t, s]
            logit = query[b, h, t] @ key[b, h, s] + places[h, t - s] + times[h, bucket]
            out[b, h, t] += logit / (1 + np.exp(-logit)) / (t + 1) * value[b, h, s]
    return out


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("cells", [1, 1 << 20])
def test_attention_is_that_of_the_paper_whole_or_in_pieces(monkeypatch, timed, cells):
    monkeypatch.setattr(hstu_layer, "CELLS", cells)
    bias = random_bias()
    parts = torch.randn(3, B, H, T, D)
    buckets = time_buckets(moments()) if timed else None
    with torch.no_grad():
        found = attend(*parts, bias, buckets)
        arrays = [part.double().numpy() for part in (*parts, bias.places, bias.times)]
    expected = one_by_one(*arrays, None if buckets is None else buckets.numpy())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("cells", [1, 2 * H * T * T, 1 << 20])
def test_the_gradient_by_hand_is_that_of_finite_differences(monkeypatch, timed, cells):
    monkeypatch.setattr(hstu_layer, "CELLS", cells)
    bias = random_bias(torch.float64)
    buckets = time_buckets(moments()) if timed else None
    parts = [torch.randn(B, H, T, 3, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    tables = (bias.places, bias.times)
    function = hstu_layer._Pointwise.apply
    assert torch.autograd.gradcheck(lambda *given: function(*given, buckets), (*parts, *tables))


def test_the_layer_is_that_of_the_paper():
    """Equations 1 to 3 written out with numpy, a residual connection around them."""
    layer = HSTULayer(H, D, T, 0.5).eval()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x, buckets = torch.randn(B, T, H * D), time_buckets(moments())
    weights = {name: value.detach().double().numpy() for name, value in layer.named_parameters()}

    def normed(a):
        return (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 1e-6)

    def heads(a):
        return a.reshape(B, T, H, D).transpose(0, 2, 1, 3)

    given = x.double().numpy()
    expanded = (normed(given) * weights["norm.weight"] + weights["norm.bias"]) @ weights["expand.weight"].T
    gate, value, query, key = np.split(expanded / (1 + np.exp(-expanded)), 4, axis=-1)
    tables = weights["bias.places"], weights["bias.times"]
    mixed = one_by_one(heads(query), heads(key), heads(value), *tables, buckets.numpy())
    gated = gate * normed(mixed.transpose(0, 2, 1, 3).reshape(B, T, H * D))
    expected = given + gated @ weights["project.weight"].T + weights["project.bias"]
    with torch.no_grad():
        np.testing.assert_allclose(layer(x, buckets).numpy(), expected, rtol=2e-3, atol=2e-3)


def test_products_in_a_lower_precision_are_near_those_in_full():
    bias, parts, buckets = random_bias(), torch.randn(3, B, H, T, D), time_buckets(moments())
    whole, low = ([part.to(dtype).requires_grad_() for part in parts] for dtype in (torch.float32, torch.bfloat16))
    for given in (whole, low):
        attend(*given, bias, buckets).float().square().sum().backward()
    for one, other in zip(whole, low, strict=True):
        assert other.grad.dtype == torch.bfloat16
        torch.testing.assert_close(one.grad, other.grad.float(), rtol=0.1, atol=0.1 * float(one.grad.abs().max()))
