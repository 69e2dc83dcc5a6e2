"""Factors of implicit feedback by alternating least squares, and the fold-in that gives a user the same factors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, FloatArray, Histories

SOLVED_AT_ONCE = 256  # users in one batch of fold-in systems, each factors x factors


def confidence(histories: Histories, items: int, alpha: float, *, weighted: bool) -> sparse.csr_array:
    """Lists x items as float32: 1 + alpha x weight where the item occurs; a repeat counts where `weighted`."""
    taken = histories.matrix(items, weighted=weighted)
    taken.data = (1.0 + alpha * taken.data).astype(np.float32)
    return taken


def alternate(
    rows: sparse.csr_array, *, factors: int, regularization: float, iterations: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Alternate between users and items, then solve once more for the users, exactly: [U, D] and [I, D]."""
    matrix = sparse.csr_matrix(rows)
    with threadpool_limits(1, "blas"):  # implicit has threads of its own, which BLAS threads would starve
        als = AlternatingLeastSquares(
            factors=factors, regularization=regularization, iterations=iterations, random_state=seed
        )
        als.fit(matrix, show_progress=False)
        users = als.recalculate_user(np.arange(matrix.shape[0]), matrix)
    return users, als.item_factors


def fold_in(rows: sparse.csr_array, items: DoubleArray, gram: DoubleArray) -> DoubleArray:
    """Factors x of every list, [B, D]: (Y'Y + Y'(C - 1)Y + regularization) x = Y'C p (Hu et al., equation 4).

    Args:
        rows: the confidences C where they are not 1, [B, I].
        items: Y, [I, D].
        gram: Y'Y + regularization, [D, D].
    """
    factors = np.empty((rows.shape[0], items.shape[1]))
    for start in range(0, rows.shape[0], SOLVED_AT_ONCE):
        batch = slice(start, min(start + SOLVED_AT_ONCE, rows.shape[0]))
        left, right = [], []
        for row in range(batch.start, batch.stop):
            cells = slice(rows.indptr[row], rows.indptr[row + 1])
            taken, weight = items[rows.indices[cells]], rows.data[cells].astype(np.float64)
            left.append(gram + (taken.T * (weight - 1.0)) @ taken)
            right.append(weight @ taken)
        factors[batch] = np.linalg.solve(np.stack(left), np.stack(right)[..., None])[..., 0]
    return factors
