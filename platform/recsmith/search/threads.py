"""How many threads a trial computes with: as many as the CPUs that it was granted, the same in both executors."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def threads_for(cpus: float) -> Iterator[None]:
    """Compute with one thread per whole CPU inside the block, at least one; libraries that are loaded later too.

    More threads than cores do not share nicely: two OpenMP pools on two busy cores were ten times slower than one.
    """
    import torch
    from threadpoolctl import threadpool_limits

    count = max(1, int(cpus))
    before, known = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(count)
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)
        if known is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = known
