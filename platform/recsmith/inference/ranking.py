"""The one ranking: scores of the whole catalogue, chunk by chunk, cut to the best K."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT
from recsmith.contracts.errors import NotFiniteError, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsmith.contracts.data import BoolArray, FloatArray, Histories, IntArray, LongArray, Requests
    from recsmith.contracts.models import Model

SCORE_BYTES = 32 * 2**20  # of one chunk's scores: larger arrays are mapped and cleared anew for every chunk


def rank(
    model: Model,
    requests: Requests,
    k: int,
    *,
    items: int,
    mask_seen: bool,
    exclude: Histories | None = None,
    among: BoolArray | None = None,
    memory: int = SCORE_BYTES,
) -> tuple[IntArray, FloatArray]:
    """The best `k` items of the whole catalogue for every request: items [B, K] and scores [B, K], best first.

    Equal scores are ordered by item number. Places without a candidate hold ABSENT and -inf. Scores belong to
    whoever asked for them: a model returns a fresh array, and the mask is written into it (a read-only array is
    copied first).

    Args:
        model: the model.
        requests: B requests.
        k: length of the lists.
        items: I, the size of the catalogue.
        mask_seen: leave out the items of each request's own history.
        exclude: B more lists of items that must not be recommended.
        among: [I], which items may be recommended at all; None: every one.
        memory: bytes that the scores of one chunk may take, so never a matrix of all requests and items. Beside them
            stand the model's own work and, for a K near I, up to four times as much to find the best K.

    Raises:
        NotFiniteError: a score is NaN or +inf.
        PluginError: scores of another shape.
    """
    found = np.full((len(requests), k), ABSENT, np.int32)
    best = np.full((len(requests), k), -np.inf, np.float32)
    for start, chunk, scores in scored_chunks(model, requests, items, memory):
        place = slice(start, start + len(chunk))
        if mask_seen:
            _mask(scores, chunk.histories)
        if exclude is not None:
            _mask(scores, exclude.take(np.arange(place.start, place.stop)))
        if among is not None:
            scores[:, ~among] = -np.inf
        found[place], best[place] = top_k(scores, k)
    return found, best


def scored_chunks(
    model: Model, requests: Requests, items: int, memory: int = SCORE_BYTES
) -> Iterator[tuple[int, Requests, FloatArray]]:
    """Score the requests in chunks: where each starts, its requests, and its scores [b, I], free to be written to.

    A chunk holds at most `memory` bytes of scores, and one request at least.

    Raises:
        PluginError: scores of another shape.
    """
    size = max(1, memory // (4 * max(1, items)))
    for start in range(0, len(requests), size):
        chunk = requests.take(np.arange(start, min(start + size, len(requests))))
        scores = model.scores(chunk)
        if not isinstance(scores, np.ndarray) or scores.shape != (len(chunk), items):
            raise PluginError(
                f"the model's scores are {_shape_of(scores)}, and [{len(chunk)}, {items}] were asked for: a row for "
                "each request, a column for each item of the catalogue."
            )
        yield start, chunk, np.require(scores, np.float32, ("C", "W"))


def _shape_of(scores: object) -> str:
    return str(list(scores.shape)) if isinstance(scores, np.ndarray) else f"a {type(scores).__name__}"


def top_k(scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """The `k` best places of every row of `scores` [B, I]: items [B, K] and scores [B, K], best first.

    Equal scores are ordered by place, also at the cut. A place of score -inf is no candidate: ABSENT and -inf fill
    the end of a row that has fewer than `k`.

    Raises:
        NotFiniteError: a score is NaN or +inf.
    """
    rows, width = scores.shape
    wanted = min(k + 1, width)  # one more than asked for shows whether equal scores lie across the cut
    places, values = _largest(scores, wanted)
    if not np.all(values < np.inf):
        row = int(np.flatnonzero(~np.all(values < np.inf, axis=1))[0])
        raise NotFiniteError(
            f"scores of request {row} of {rows}: a score is NaN or +infinite; lower the learning rate or clip "
            f"gradients, or mend the model that gave it."
        )
    order = np.lexsort((places, -values), axis=1)
    places, values = np.take_along_axis(places, order, 1), np.take_along_axis(values, order, 1)
    if wanted > k > 0:
        across = (values[:, k - 1] == values[:, k]) & (values[:, k] > -np.inf)
        for tied in np.flatnonzero(across):
            above = int(np.searchsorted(-values[tied], -values[tied, k]))
            places[tied, above:k] = np.flatnonzero(scores[tied] == values[tied, k])[: k - above]
    items = np.full((rows, k), ABSENT, np.int32)
    best = np.full((rows, k), -np.inf, np.float32)
    kept = min(k, width)
    best[:, :kept] = values[:, :kept]
    items[:, :kept] = np.where(values[:, :kept] > -np.inf, places[:, :kept], ABSENT)
    return items, best


def _largest(scores: FloatArray, count: int) -> tuple[LongArray, FloatArray]:
    """Places and values of the `count` largest scores of every row, in no order; NaN counts as largest.

    Place j belongs to block j mod I/b. The `count` blocks of the largest maxima hold the `count` largest scores,
    because every other score is at most its own block's maximum. So one pass of maxima (vectorised, as its inner
    loop runs along memory) leaves about 2 sqrt(I K) numbers per row to be partitioned instead of I.
    """
    rows, width = scores.shape
    depth = math.isqrt(width // max(1, count))
    if depth < 2:  # noqa: PLR2004 - a block of one place saves nothing
        places = np.broadcast_to(np.arange(width), (rows, width))
        return _partitioned(places, scores, count)
    blocks = width // depth
    maxima = scores[:, : depth * blocks].reshape(rows, depth, blocks).max(axis=1)
    chosen = np.argpartition(maxima, blocks - count, axis=1)[:, blocks - count :]  # [B, count]
    places = (chosen[:, None, :] + blocks * np.arange(depth)[:, None]).reshape(rows, depth * count)
    rest = np.broadcast_to(np.arange(depth * blocks, width), (rows, width - depth * blocks))
    places = np.concatenate([places, rest], axis=1)
    return _partitioned(places, np.take_along_axis(scores, places, 1), count)


def _partitioned(places: LongArray, values: FloatArray, count: int) -> tuple[LongArray, FloatArray]:
    cut = values.shape[1] - count
    if cut == 0:
        return places, values
    chosen = np.argpartition(values, cut, axis=1)[:, cut:]
    return np.take_along_axis(places, chosen, 1), np.take_along_axis(values, chosen, 1)


def _mask(scores: FloatArray, lists: Histories) -> None:
    """Make the items of each list no candidates of its row."""
    scores.reshape(-1)[lists.rows * scores.shape[1] + lists.item_num] = -np.inf
