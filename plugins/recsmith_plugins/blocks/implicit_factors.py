"""Factors of implicit feedback by alternating least squares, and the fold-in that gives a user the same factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from scipy.linalg import get_blas_funcs, get_lapack_funcs
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, FloatArray, Histories


Factors = TypeVar("Factors", "DoubleArray", "FloatArray")


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
        items = als.item_factors
        gram = items.T @ items + regularization * np.eye(factors, dtype=np.float32)
        return fold_in(rows, items, gram), items


def fold_in(rows: sparse.csr_array, items: Factors, gram: Factors) -> Factors:
    """Factors x of every list, [B, D]: (Y'Y + Y'(C - 1)Y + regularization) x = Y'C p (Hu et al., equation 4).

    Computed in the precision of `items`; a list without an item gets zeros.

    Args:
        rows: the confidences C where they are not 1, [B, I], none below 1.
        items: Y, [I, D].
        gram: Y'Y + regularization, [D, D].
    """
    found: Any = [*get_blas_funcs(("syrk",), (items,)), *get_lapack_funcs(("posv",), (items,))]  # type: ignore[misc]
    syrk, posv = found
    start = np.asfortranarray(gram)
    factors = np.zeros((rows.shape[0], items.shape[1]), items.dtype)
    for row in np.flatnonzero(np.diff(rows.indptr)):
        cells = slice(rows.indptr[row], rows.indptr[row + 1])
        taken, weight = items[rows.indices[cells]], rows.data[cells].astype(items.dtype)
        half = taken * np.sqrt(weight - 1)[:, None]
        left = syrk(1.0, half.T, beta=1.0, c=start, lower=1)
        factors[row] = posv(left, weight @ taken, lower=1, overwrite_a=1)[1]
    return factors
