"""Words that a column may hold, and rows that say which of them occur."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def frequent(rows: Iterable[Iterable[str]], min_count: int = 1) -> list[str]:
    """The words that occur in at least `min_count` rows, sorted."""
    counts = Counter(word for row in rows for word in set(row))
    return sorted(word for word, count in counts.items() if count >= min_count)


def indicators(rows: Sequence[Iterable[str]], words: Sequence[str]) -> sparse.csr_array:
    """Rows x words as float32: 1 where the word occurs in the row. Words that are not listed are left out."""
    number = {word: index for index, word in enumerate(words)}
    found = [sorted({number[word] for word in row if word in number}) for row in rows]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in found], dtype=np.int64)])
    indices = np.fromiter((index for row in found for index in row), np.int32, int(indptr[-1]))
    return sparse.csr_array((np.ones(len(indices), np.float32), indices, indptr), shape=(len(rows), len(words)))
