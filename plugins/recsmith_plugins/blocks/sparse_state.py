"""Dense and sparse matrices as named arrays of a `State`, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.data import FeatureMatrix


def pack(name: str, matrix: FeatureMatrix) -> dict[str, npt.NDArray[Any]]:
    """`name` -> the dense matrix, or `name.data`, `.indices`, `.indptr`, `.shape` of a CSR matrix."""
    if isinstance(matrix, np.ndarray):
        return {name: matrix}
    return {
        f"{name}.data": matrix.data,
        f"{name}.indices": matrix.indices,
        f"{name}.indptr": matrix.indptr,
        f"{name}.shape": np.asarray(matrix.shape, np.int64),
    }


def empty() -> sparse.csr_array:
    """The matrix of a model that is not fitted yet, [0, 0]."""
    return sparse.csr_array(np.zeros((0, 0), np.float32))


def unpack(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> FeatureMatrix:
    """The matrix that `pack` named."""
    if name in arrays:
        return arrays[name]
    return unpack_csr(name, arrays)


def unpack_csr(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> sparse.csr_array:
    """The CSR matrix that `pack` named."""
    parts = (arrays[f"{name}.data"], arrays[f"{name}.indices"], arrays[f"{name}.indptr"])
    rows, columns = arrays[f"{name}.shape"].tolist()
    return sparse.csr_array(parts, shape=(rows, columns))
