"""Similarities of sparse rows: what item-kNN and user-kNN share.

Item-kNN reads items as documents and users as terms, user-kNN the other way about. Rows are documents, columns terms.
Where a similarity has a direction, the first document is the one that asks (an item of the history, the user to be
served) and the second one is its neighbour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from implicit.nearest_neighbours import all_pairs_knn
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float

if TYPE_CHECKING:
    from recsmith.contracts.data import DoubleArray, Histories, LongArray


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


class Comparison(Config):
    """How two documents are compared.

    "product" multiplies their weighted rows. Where these are divided by their lengths ("cosine", "tfidf"), the first
    one's length has the exponent 2 x `asymmetry` and the second one's 2 - 2 x `asymmetry` (Aiolli 2013,
    doi:10.1145/2507157.2507189): at 0.5 that is the cosine; at 1, with 0 and 1 as weights, the share of the first one's
    terms that the second one has too.

    "tversky" compares sets (Tversky 1977, doi:10.1037/0033-295X.84.4.327): shared terms / (shared + `first` x those
    that only the first one has + `second` x those that only the second one has + shrinkage). 1 and 1 is Tanimoto (or
    Jaccard), 0.5 and 0.5 is Dice. The weighting of terms has no say.
    """

    measure: Annotated[str, Categorical(("product", "tversky"))] = "product"
    asymmetry: Annotated[float, Float(0.0, 1.0)] = 0.5
    first: Annotated[float, Float(0.0, 2.0)] = 1.0
    second: Annotated[float, Float(0.0, 2.0)] = 1.0


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
        squares = float(np.square(_plain(documents, similarity, idf), dtype=np.float64).sum())
        return cls(idf, float(documents.sum()) / max(rows, 1), squares / max(documents.nnz, 1))


def takers(histories: Histories, items: int, *, weighted: bool) -> sparse.csr_array:
    """Items x lists as float32: `histories.matrix` transposed. Transposing sorts, so merging repeats need not."""
    weights = histories.weight if weighted and histories.weight is not None else None
    data = np.ones(len(histories.item_num), np.float32) if weights is None else weights
    rows = sparse.csc_array((data, histories.item_num, histories.indptr), shape=(items, len(histories))).tocsr()
    rows.sum_duplicates()
    if not weighted:
        rows.data[:] = 1.0
    return rows


def weigh(documents: sparse.csr_array, similarity: Similarity, terms: Terms, exponent: float = 0.5) -> sparse.csr_array:
    """The weighted rows as float64, [R, terms]; `documents` stays as it is.

    Where the weighting divides by lengths, it divides by their squares to the power of `exponent`.
    """
    rows = np.repeat(np.arange(documents.shape[0]), np.diff(documents.indptr))
    if similarity.weighting == "bm25":
        raw = documents.data.astype(np.float64)
        length = np.bincount(rows, weights=raw, minlength=documents.shape[0]) / max(terms.mean_length, 1e-12)
        saturation = similarity.k1 * (1.0 - similarity.b + similarity.b * length)
        data = raw * (similarity.k1 + 1.0) / (saturation[rows] + raw) * terms.idf[documents.indices]
    else:
        data = _plain(documents, similarity, terms.idf).astype(np.float64)
        norm = (squared_lengths(documents, similarity, terms) ** exponent)[rows]
        data = np.divide(data, norm, out=np.zeros_like(data), where=norm > 0)
    return sparse.csr_array((data, documents.indices, documents.indptr), shape=documents.shape)


def squared_lengths(documents: sparse.csr_array, similarity: Similarity, terms: Terms) -> DoubleArray:
    """What `weigh` divides by the square root of, [R]; 1 where the weighting has no lengths."""
    if similarity.weighting == "bm25":
        return np.ones(documents.shape[0])
    rows = np.repeat(np.arange(documents.shape[0]), np.diff(documents.indptr))
    data = _plain(documents, similarity, terms.idf).astype(np.float64)
    squares = np.bincount(rows, weights=data**2, minlength=documents.shape[0]).astype(np.float64)
    squares += similarity.shrinkage * terms.mean_square
    return squares


def _plain(documents: sparse.csr_array, similarity: Similarity, idf: DoubleArray) -> DoubleArray:
    """Weights of "cosine" and "tfidf" before any division, [stored]; those of the latter stand for "bm25" too."""
    return documents.data if similarity.weighting == "cosine" else np.sqrt(documents.data) * idf[documents.indices]


def nearest(rows: sparse.csr_array, count: int) -> sparse.csr_array:
    """The `count` largest products of each row of `rows` [R, n] with all rows, [R, R] float64; chunked, in parallel."""
    columns = rows.T.tocsr()
    indices, indptr = columns.indices.astype(np.int32), columns.indptr.astype(np.int32)  # all that implicit takes
    by_column = sparse.csr_matrix((columns.data, indices, indptr), shape=columns.shape)
    found = sparse.csr_array(all_pairs_knn(by_column, min(count, rows.shape[0]), show_progress=False))
    found.eliminate_zeros()
    return found


def summing_to_one(rows: sparse.csr_array) -> sparse.csr_array:
    """The rows divided by their sums where these are positive."""
    sums = np.repeat(np.asarray(rows.sum(axis=1)).ravel(), np.diff(rows.indptr))
    data = np.divide(rows.data, sums, out=np.zeros_like(rows.data), where=sums > 0)
    return sparse.csr_array((data, rows.indices, rows.indptr), shape=rows.shape)


def tversky(
    shared: sparse.csr_array, sizes: tuple[LongArray, LongArray], comparison: Comparison, shrinkage: float
) -> sparse.csr_array:
    """The Tversky index of every pair that shares a term, [R, S] float32.

    Args:
        shared: how many terms the pairs share, [R, S].
        sizes: terms of the first documents [R] and of the second ones [S].
        comparison: the weights of what is not shared.
        shrinkage: further terms that are not shared.
    """
    both = shared.data.astype(np.float64)
    first = np.repeat(sizes[0], np.diff(shared.indptr)) - both
    second = sizes[1][shared.indices] - both
    index = both / (both + comparison.first * first + comparison.second * second + shrinkage)
    return sparse.csr_array((index.astype(np.float32), shared.indices, shared.indptr), shape=shared.shape)


def largest(similarities: sparse.csr_array, count: int) -> sparse.csr_array:
    """Only the `count` largest entries of every row."""
    kept = []
    for start, end in zip(similarities.indptr[:-1], similarities.indptr[1:], strict=True):
        size = int(end - start)
        best = np.arange(size) if size <= count else np.argpartition(similarities.data[start:end], size - count)
        kept.append(start + np.sort(best[-count:]))
    index = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in kept], dtype=np.int64)])
    parts = (similarities.data[index], similarities.indices[index], indptr)
    return sparse.csr_array(parts, shape=similarities.shape)
