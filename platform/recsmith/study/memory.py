"""Does a model fit? What it says that it needs, held against the memory of this machine, before it starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from recsmith.contracts.plugins import Sizes

if TYPE_CHECKING:
    from recsmith.contracts.config import Config
    from recsmith.contracts.data import Fold
    from recsmith.contracts.plugins import ModelSpec

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def memory_here() -> int:
    """Bytes of memory that this process may use at all, taken or not: the machine's, or its container's limit."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in map(Path, _LIMITS):
        text = path.read_text().strip() if path.is_file() else ""
        if text.isdigit():
            found.append(int(text))
    return min(found)


def sizes_of(fold: Fold) -> Sizes:
    """The size of a fold's training rows."""
    histories = fold.train.histories
    longest = int(histories.lengths.max()) if len(histories) else 0
    return Sizes(fold.train.users, fold.train.items, len(histories.item_num), longest)


def lack_of_memory(spec: ModelSpec, config: Config, sizes: Sizes, memory: int) -> str | None:
    """Why these settings do not fit; None where they do, or the model does not say what it needs."""
    needed = 0.0 if spec.memory is None else spec.memory(config, sizes)
    if needed <= memory:
        return None
    rows = f"{sizes.users:,} users, {sizes.items:,} items and {sizes.interactions:,} interactions"
    return f"it needs {needed:,.0f} bytes ({needed / 1e9:.1f} GB) for {rows}, and {memory / 1e9:.1f} GB are there"
