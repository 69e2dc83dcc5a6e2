"""Bytes that models take at most: the arithmetic that the `memory` of their specs share.

The numbers are those of the platform: scores of a chunk, logits of a piece, an optimiser with two moments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recsmith.contracts.plugins import Sizes
    from recsmith.contracts.training import Training

BASE = 1.5e8  # what is small, and libraries at their first use
LEARNT = 28  # for a parameter: itself, its gradient and two moments, and copies of all but the gradient to be kept
SCORES = 1 << 25  # of a chunk of requests
PIECE = 1 << 21  # logits, or numbers gathered for them, in a piece of a batch
KEYS = 20  # for an interaction, while the items that each user has are sorted
SEEN = 24  # for an interaction afterwards, and for the order of the pairs
SHUFFLED = 8  # for an interaction, while histories without an order are shuffled
LOOKALIKES = 512 * 20  # for an item, while the items most like it are sought
DRAWN = {"bce": 16, "bpr": 16, "gbce": 1024, "sampled_softmax": 1024}  # losses that draw, and how many at most
SHARED = frozenset({"gbce", "sampled_softmax"})  # those of them that draw once for the whole batch


def chunk_bytes(sizes: Sizes) -> float:
    """The scores of a chunk of requests, one at least; the ranking takes no more once again beside them."""
    return float(max(4 * sizes.items, min(SCORES, 4 * sizes.items * sizes.users)))


def rows_at_once(positives: int, training: Training, items: int) -> int:
    """Items whose vectors are made for one batch: the whole catalogue, where the loss does not draw."""
    loss = training.loss
    if loss.name not in DRAWN:
        return items
    drawn = int(loss.params.get("negatives", DRAWN[loss.name]))
    return min(items, positives + (drawn if loss.name in SHARED else positives * drawn))


def logits_at_once(training: Training, items: int) -> int:
    """Logits that a loss judges at once: `PIECE`, or 64 rows of the catalogue, where the loss does not draw."""
    return PIECE if training.loss.name in DRAWN else max(PIECE, 64 * items)


def pairs_bytes(parameters: float, width: int, training: Training, sizes: Sizes) -> float:
    """Of a gradient model that learns from pairs, at the peak of learning, keeping and scoring.

    What users have is sorted (KEYS for each interaction) before there are gradients. Then LEARNT for each parameter,
    SEEN for each interaction, 24 for each number of a batch's queries and 48 for each logit that is judged at once.

    Args:
        parameters: numbers that are learnt.
        width: D of the queries.
        training: the settings.
        sizes: of the log.
    """
    sorting = 4 * parameters + KEYS * sizes.interactions
    batch = min(training.batch_size, sizes.interactions) * (64 + 24 * width)
    learning = batch + 48 * logits_at_once(training, sizes.items)
    later = LEARNT * parameters + SEEN * sizes.interactions + max(learning, 3 * chunk_bytes(sizes))
    return BASE + max(sorting, later)


def content_bytes(rows: int, width: int, lookalikes: int) -> float:
    """Of the encoded columns in a tower, at the peak of building it.

    Features thrice (as encoded, joined, scaled), for each of `rows` items `width` stored numbers; beside them, where
    `lookalikes` are sought, three more copies and LOOKALIKES for each item.
    """
    features = 4.0 * rows * width
    return 6 * features + rows * (LOOKALIKES + 16 * lookalikes) if lookalikes else 3 * features
