"""Weighted sparse rows whose products are similarities: what item-kNN and user-kNN share.

Item-kNN reads items as documents and users as terms, user-kNN the other way about. Rows are documents, columns terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray


class Similarity(Config):
    """How alike two documents are. The weights are those of `implicit.nearest_neighbours`.

    "cosine" and "tfidf" divide by the rows' lengths, "bm25" (the product of two rows) does not. `shrinkage` acts on the
    first two, as if every document had that many further terms of average weight that no other has: documents with few
    terms become less similar to all. `k1` and `b` act on "bm25" (Robertson and Zaragoza 2009).
    """

    weighting: Annotated[str, Categorical(("cosine", "tfidf", "bm25"))] = "bm25"
    shrinkage: Annotated[float, Float(0.1, 1000.0, log=True)] = 1.0
    k1: Annotated[float, Float(0.1, 100.0, log=True)] = 1.2
    b: Annotated[float, Float(0.0, 1.0)] = 0.75
    weighted: Annotated[bool, Categorical((False, True))] = False  # repeats and the weights of events count


@dataclass(frozen=True, eq=False)
class Terms:
    """What the weighting of further documents needs to know of the fitted ones."""

    idf: DoubleArray  # [terms] ln(documents) - ln(1 + documents with the term)
    mean_length: float  # sum of the raw weights of a document
    mean_square: float  # of the weights before normalising

    @classmethod
    def of(cls, documents: sparse.csr_array, similarity: Similarity) -> Terms:
        """Count the terms of `documents`, float [R, terms]."""
        rows, terms = documents.shape
        frequency = np.bincount(documents.indices, minlength=terms)
        idf = np.log(float(max(rows, 1))) - np.log1p(frequency)
        plain = similarity.weighting == "cosine"
        weights = documents.data if plain else np.sqrt(documents.data) * idf[documents.indices]
        squares = float(np.square(weights, dtype=np.float64).sum())
        return cls(idf, float(documents.sum()) / max(rows, 1), squares / max(documents.nnz, 1))


def weigh(documents: sparse.csr_array, similarity: Similarity, terms: Terms) -> sparse.csr_array:
    """The weighted rows as float64, [R, terms]; `documents` stays as it is."""
    raw = documents.data.astype(np.float64)
    rows = np.repeat(np.arange(documents.shape[0]), np.diff(documents.indptr))
    idf = terms.idf[documents.indices]
    if similarity.weighting == "bm25":
        length = np.bincount(rows, weights=raw, minlength=documents.shape[0]) / max(terms.mean_length, 1e-12)
        saturation = similarity.k1 * (1.0 - similarity.b + similarity.b * length)
        data = raw * (similarity.k1 + 1.0) / (saturation[rows] + raw) * idf
    else:
        data = raw if similarity.weighting == "cosine" else np.sqrt(raw) * idf
        squares = np.bincount(rows, weights=data**2, minlength=documents.shape[0])
        norm = np.sqrt(squares + similarity.shrinkage * terms.mean_square)[rows]
        data = np.divide(data, norm, out=np.zeros_like(data), where=norm > 0)
    return sparse.csr_array((data, documents.indices, documents.indptr), shape=documents.shape)
