"""The encoded columns of items as closed-form models want them: unit rows, few dense columns, or a regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd

if TYPE_CHECKING:
    from recsmith.contracts.data import BoolArray, DoubleArray, FeatureMatrix, FloatArray

STEPS = 300  # of conjugate gradients, at most
PRECISION = 1e-5  # of the residual, relative to the right-hand side
SVD_SEED = 0  # one matrix has one reduction, whatever the seed of a trial


def encoded(features: FeatureMatrix | None, items: int) -> FeatureMatrix:
    """The features in rows of length 1 or of zeros, [I, F]; [I, 0] where no column is encoded."""
    return np.zeros((items, 0), np.float32) if features is None else unit_rows(features)


def unit_rows(matrix: Any) -> Any:
    """Rows of length 1, or of zeros, in a matrix of the same kind; scikit-learn refuses one without columns."""
    return normalize(matrix) if matrix.shape[0] and matrix.shape[1] else matrix


def directions(features: FeatureMatrix, known: BoolArray, dim: int) -> FloatArray:
    """The `dim` strongest directions of the rows `known`, [F, D] float32; the columns themselves where F <= `dim`.

    A randomised truncated SVD (Halko, Martinsson and Tropp 2011, doi:10.1137/090771806) that does not centre, so sparse
    rows stay sparse.
    """
    width = features.shape[1]
    rows = features[np.flatnonzero(known)]
    if width <= dim or not rows.shape[0]:
        return np.eye(width, min(width, dim), dtype=np.float32)
    found = randomized_svd(rows, min(dim, *rows.shape), n_iter=4, random_state=SVD_SEED)[2]
    return np.ascontiguousarray(found.T, np.float32)


def ridge(features: FeatureMatrix, targets: DoubleArray, l2: float, weights: DoubleArray) -> DoubleArray:
    """W [F, D] that minimises sum_r weights_r |features_r W - targets_r|^2 + l2 |W|^2, by conjugate gradients.

    Nothing of the size R x R or F x F is held, so wide sparse features serve as they are.

    Args:
        features: [R, F].
        targets: [R, D].
        l2: above 0.
        weights: of the rows, [R], none negative.
    """
    rows: Any = features
    columns: Any = features.T.tocsr() if not isinstance(features, np.ndarray) else features.T
    found = np.zeros((features.shape[1], targets.shape[1]))
    residual = np.asarray(columns @ (weights[:, None] * targets), np.float64)
    direction = residual.copy()
    size = (residual**2).sum(axis=0)  # every column of W is a system of its own
    enough = PRECISION**2 * size
    for _ in range(STEPS):
        active = size > enough
        if not active.any():
            break
        product = columns @ (weights[:, None] * (rows @ direction)) + l2 * direction
        curvature = (direction * product).sum(axis=0)
        step = np.divide(size, curvature, out=np.zeros_like(size), where=active)
        found += step * direction
        residual -= step * product
        after = (residual**2).sum(axis=0)
        direction = residual + np.divide(after, size, out=np.zeros_like(size), where=active) * direction
        size = np.where(active, after, size)
    return found
