"""Predicted ratings of the holdout's targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import ABSENT, RatedPairs
from recsmith.contracts.errors import NotFiniteError, PlanError
from recsmith.inference.ranking import scored_chunks

if TYPE_CHECKING:
    from recsmith.contracts.data import Holdout
    from recsmith.contracts.models import Model


def rated_pairs(model: Model, holdout: Holdout, items: int) -> RatedPairs:
    """What the model predicts for every target, beside the rating that followed.

    A target outside the catalogue is predicted as the mean of the request's predictions over the catalogue: it is
    counted, since to leave it out would flatter.

    Args:
        model: the model.
        holdout: B requests with their targets.
        items: I, the size of the catalogue.

    Raises:
        PlanError: the holdout has no ratings.
        NotFiniteError: a predicted rating is NaN or infinite.
    """
    if holdout.target_value is None:
        raise PlanError("metrics of ratings need ratings: name the column of the log that holds them as `value`.")
    predicted = np.empty(len(holdout.target_item), np.float64)
    for start, chunk, scores in scored_chunks(model, holdout.requests, items):
        indptr = holdout.target_indptr[start : start + len(chunk) + 1]
        targets = holdout.target_item[indptr[0] : indptr[-1]]
        rows = np.repeat(np.arange(len(chunk)), np.diff(indptr))
        known = scores[rows, np.maximum(targets, 0)]
        unknown = np.unique(rows[targets == ABSENT])
        means = np.zeros(len(chunk))
        means[unknown] = scores[unknown].mean(axis=1, dtype=np.float64)
        predicted[indptr[0] : indptr[-1]] = np.where(targets == ABSENT, means[rows], known)
    if not np.isfinite(predicted).all():
        raise NotFiniteError("a predicted rating is NaN or infinite; lower the learning rate or clip gradients.")
    return RatedPairs(holdout.target_indptr, predicted, holdout.target_value.astype(np.float64))
