"""Does a model fit? What it says that it needs, held against the memory of this machine, before it starts."""

from __future__ import annotations

import ctypes
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.plugins import Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.config import Config
    from recsmith.contracts.content import Table
    from recsmith.contracts.data import Fold
    from recsmith.contracts.plugins import ModelSpec
    from recsmith.data.features import Encoded

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def memory_here() -> int:
    """Bytes of memory that this process may use at all, taken or not: the machine's, or its container's limit."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in map(Path, _LIMITS):
        text = path.read_text().strip() if path.is_file() else ""
        if text.isdigit():
            found.append(int(text))
    return min(found)


def give_back() -> None:
    """Return what was freed to the system, where the C library keeps it (glibc).

    Else a worker holds the peak of its largest trial for as long as it lives: beside small trials, and beside other
    workers that could have it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def sizes_of(fold: Fold, content: Mapping[Table, Encoded] | None = None) -> Sizes:
    """The size of a fold's training rows, and of the items' encoded columns where they are known already."""
    histories = fold.train.histories
    longest = int(histories.lengths.max()) if len(histories) else 0
    return Sizes(fold.train.users, fold.train.items, len(histories.item_num), longest, *_columns(content or {}))


def _columns(content: Mapping[Table, Encoded]) -> tuple[int, int]:
    """Features in the items' encoded columns, and stored numbers of an item, rounded up; a sparse one is two."""
    if "items" not in content:
        return 0, 0
    found = content["items"].content
    columns = found.features.values()
    numbers = sum(each.size if isinstance(each, np.ndarray) else 2 * each.nnz for each in columns)
    return sum(each.shape[1] for each in columns), math.ceil(numbers / found.rows)


def lack_of_memory(spec: ModelSpec, config: Config, sizes: Sizes, memory: int) -> str | None:
    """Why these settings do not fit; None where they do, or the model does not say what it needs."""
    needed = 0.0 if spec.memory is None else spec.memory(config, sizes)
    if needed <= memory:
        return None
    rows = f"{sizes.users:,} users, {sizes.items:,} items and {sizes.interactions:,} interactions"
    return f"it needs {needed:,.0f} bytes ({needed / 1e9:.1f} GB) for {rows}, and {memory / 1e9:.1f} GB are there"
