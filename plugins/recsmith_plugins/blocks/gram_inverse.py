"""The inverse of the matrix that counts what items share: what linear autoencoders in closed form stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from recsmith.contracts.errors import DataError

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, FloatArray
    from recsmith.contracts.plugins import Sizes

BLOCK = 256  # rows that are mirrored at a time
WIDE = 2**31  # cells of a sparse matrix whose indices need 64 bits


def squared_bytes(sizes: Sizes) -> float:
    """Bytes at the peak of `gram_inverse` and of scoring with a dense matrix: 12 I^2, 24 N for the rows, and 0.2 GB.

    12 I^2: the shared counts in float32 beside their sparse form (8), then beside float64, then the inverse in float64
    beside float32. Beyond 46,341 items the sparse form has wider indices (12), which makes it 16 I^2.
    """
    cell = 12.0 if sizes.items**2 < WIDE else 16.0
    return cell * sizes.items**2 + 24.0 * sizes.interactions + 0.2e9


def gram_inverse(taken: sparse.csr_array, penalty: DoubleArray | float) -> tuple[FloatArray, DoubleArray]:
    """The inverse of X'X + diag(penalty), float32 [I, I], and its diagonal [I].

    Args:
        taken: X, float32 [U, I].
        penalty: positive.

    Raises:
        DataError: the matrix is not positive definite as float64.
    """
    index = (
        np.int32 if taken.nnz < WIDE else np.int64
    )  # what the indices of the product will be, unless it has to widen
    parts = (taken.data, taken.indices.astype(index), taken.indptr.astype(index))
    rows = sparse.csr_array(parts, shape=taken.shape)
    gram = (rows.T @ rows).toarray(order="F").astype(np.float64)  # counts of users: exact up to 16 million
    gram[np.diag_indices_from(gram)] += penalty
    factor, failed = lapack.dpotrf(gram, lower=1, overwrite_a=1)
    if failed:
        raise DataError("the matrix that counts what items share is not positive definite. Raise l2.")
    inverse: DoubleArray = lapack.dpotri(factor, lower=1, overwrite_c=1)[0]
    return _mirrored(inverse.T), inverse.diagonal().copy()


def _mirrored(upper: DoubleArray) -> FloatArray:
    """The symmetric matrix, float32, of which `upper` holds the upper triangle."""
    whole = upper.astype(np.float32, order="C")
    for start in range(0, len(whole), BLOCK):
        stop = start + BLOCK
        whole[stop:, start:stop] = whole[start:stop, stop:].T
        corner = whole[start:stop, start:stop]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
    return whole
