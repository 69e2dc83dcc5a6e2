"""The layer of HSTU: pointwise attention with a bias from positions and moments, gated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, silu

from recsmith_plugins.blocks.dropout import Dropout

if TYPE_CHECKING:
    from collections.abc import Iterator

CELLS = 1 << 20  # attention weights computed at once: 4 MB, about what a core's cache holds
LANES = 16
GROWTH = 0.301  # a bucket of time reaches e^0.301 = 1.35 times as far as the one before it
LONGEST = 2**31 - 1  # seconds: 68 years
BUCKETS = 1 + int(math.log1p(LONGEST) / GROWTH)
UNKNOWN = BUCKETS  # one more bucket, for pairs of which no moments are known


def time_buckets(times: Tensor) -> Tensor:
    """The bucket of the time from each input back to each other, [B, T, T] uint8, from Unix seconds [B, T].

    floor(log(1 + seconds) / 0.301); 0 where the other is not the older one.
    """
    B, T = times.shape
    since = (times - times[:, :1]).clamp_(0, LONGEST)
    buckets = torch.empty((B, T, T), dtype=torch.uint8, device=times.device)
    for rows in _pieces(B, T * T):
        gaps = (since[rows, :, None] - since[rows, None, :]).clamp_min_(0)
        buckets[rows] = gaps.to(torch.float32).log1p_().div_(GROWTH).to(torch.uint8)
    return buckets


class Bias(nn.Module):
    """What pairs of inputs add to their attention: something for how many inputs lie between them, and for how long."""

    def __init__(self, heads: int, length: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(heads, length))  # [H, T] by places back
        self.times = nn.Parameter(torch.zeros(heads, BUCKETS + 1))  # [H, buckets]


class HSTULayer(nn.Module):
    """Zhai et al. (2024), equations 1 to 3, around a residual connection."""

    def __init__(self, heads: int, head_dim: int, length: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        D = heads * head_dim
        self.norm = nn.LayerNorm(D)
        self.expand = nn.Linear(D, 4 * D, bias=False)  # gates, values, queries and keys
        self.bias = Bias(heads, length)
        self.dropout = Dropout(dropout)
        self.project = nn.Linear(D, D)

    def forward(self, x: Tensor, buckets: Tensor | None) -> Tensor:
        """[B, T, D] to [B, T, D], with the `time_buckets` [B, T, T]; position t sees positions up to t."""
        B, T, D = x.shape
        gate, *rest = silu(self.expand(self.norm(x))).chunk(4, dim=2)
        value, query, key = (part.view(B, T, self.heads, -1).transpose(1, 2).contiguous() for part in rest)
        mixed = attend(query, key, value, self.bias, buckets).transpose(1, 2).reshape(B, T, D)
        out: Tensor = self.project(self.dropout(gate * layer_norm(mixed, (D,), eps=1e-6)))
        return x + out


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Bias, buckets: Tensor | None) -> Tensor:
    """Pointwise causal attention: [B, H, T, d] of queries, keys and values to [B, H, T, d].

    A(t, s) = silu(query(t) key(s) + bias) / (t + 1) for s up to t, without a softmax. Without buckets every pair is in
    that of the unknown.
    """
    mixed: Tensor = _Pointwise.apply(query, key, value, bias.places, bias.times, buckets)  # type: ignore[no-untyped-call]
    return mixed


class _Pointwise(torch.autograd.Function):
    """Weights [H, T, T] exist for a few histories at a time only: the backward pass makes them anew."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, places: Tensor, times: Tensor, buckets: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(query, key, value, places, times, buckets)
        out = torch.empty_like(value)
        B, H, T, _ = query.shape
        shared, share = _shared(places, times, T, known=buckets is not None)
        for rows in _pieces(B, H * T * T):
            logits = _logits(query[rows], key[rows], shared, times, None if buckets is None else buckets[rows])
            out[rows] = silu(logits, inplace=True).mul_(share).to(value.dtype) @ value[rows]
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, places, times, buckets = ctx.saved_tensors
        B, H, T, _ = query.shape
        to_query, to_key, to_value = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        to_shared, to_times = places.new_zeros(H, T, T), torch.zeros_like(times)
        shared, share = _shared(places, times, T, known=buckets is not None)
        for rows in _pieces(B, H * T * T):
            within = None if buckets is None else buckets[rows]
            logits = _logits(query[rows], key[rows], shared, times, within)
            gates = logits.sigmoid()
            to_value[rows] = (logits * gates).mul_(share).to(value.dtype).mT @ gradient[rows]
            slope = gates.mul_(logits.mul_(1 - gates).add_(1))  # that of silu
            to_logits = (gradient[rows] @ value[rows].mT).to(places.dtype).mul_(share).mul_(slope)
            to_query[rows] = to_logits.to(key.dtype) @ key[rows]
            to_key[rows] = to_logits.to(key.dtype).mT @ query[rows]
            to_shared += to_logits.sum(0)
            if within is not None:
                to_times += _by_bucket(to_logits, within)
        to_places = torch.zeros_like(places).index_add_(1, _back(T, places.device).flatten(), to_shared.flatten(1))
        if buckets is None:
            to_times[:, UNKNOWN] = to_shared.sum((1, 2))
        return to_query, to_key, to_value, to_places, to_times, None


def _logits(query: Tensor, key: Tensor, shared: Tensor, times: Tensor, buckets: Tensor | None) -> Tensor:
    """Before the non-linearity, of some histories: [b, H, T, T]; the products may be of a lower precision, no more."""
    logits = (query @ key.mT).to(shared.dtype)
    logits += shared
    if buckets is not None:
        index = buckets.int()
        for head, table in enumerate(times):
            logits[:, head] += nn.functional.embedding(index, table[:, None]).squeeze(-1)
    return logits


def _by_bucket(cells: Tensor, buckets: Tensor) -> Tensor:
    """The sums of cells [b, H, T, T] in each bucket, [H, buckets].

    Neighbours are often in the same bucket, and sums that wait for each other are slow: so there are LANES of them.
    """
    H, T = cells.shape[1:3]
    lane = torch.arange(T, device=cells.device) % LANES
    index = (buckets.long() * LANES + lane).flatten()
    sums = cells.new_zeros(H, (BUCKETS + 1) * LANES)
    return sums.scatter_add_(1, index.expand(H, -1), cells.transpose(0, 1).reshape(H, -1)).view(H, -1, LANES).sum(2)


def _shared(places: Tensor, times: Tensor, T: int, *, known: bool) -> tuple[Tensor, Tensor]:
    """The bias that all histories have [H, T, T], and the share of each pair: 1 / (t + 1) up to t, then 0, [T, T]."""
    shared = places[:, _back(T, places.device)]
    if not known:
        shared = shared + times[:, UNKNOWN, None, None]
    count = torch.arange(1, T + 1, device=places.device, dtype=places.dtype)
    return shared, torch.ones((T, T), device=places.device, dtype=places.dtype).tril_() / count[:, None]


def _back(T: int, device: torch.device) -> Tensor:
    """How many places each input is after each other, [T, T] int64; 0 where it is not."""
    place = torch.arange(T, device=device)
    return (place[:, None] - place).clamp_min_(0)


def _pieces(rows: int, cells: int) -> Iterator[slice]:
    """Slices of the batch with at most CELLS cells, or one row."""
    step = max(1, CELLS // cells)
    return (slice(start, start + step) for start in range(0, rows, step))
