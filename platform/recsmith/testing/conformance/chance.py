"""Sources of chance that a plugin must not listen to."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def other_random_states() -> Iterator[None]:
    """Give the global generators of torch, numpy and Python other states, and the old ones back in the end."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 - the global one is meant
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(987_654)
        np.random.seed(987_654)  # noqa: NPY002
        random.seed(987_654)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
