"""How the closed-form models of one library are timed; every `closed_form_*.py` runs it in its own environment.

Needs nothing but NumPy. What the library reads is made of the log beforehand, and one fit and one ranking of few users
go before, so that neither reading nor what a library does once (imports, pools of threads) is in the figures.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    IntArray = npt.NDArray[np.int32]

WARM_UP = 200  # users
TIMES = 5
ENOUGH = 5.0  # seconds


class Library(Protocol):
    """One model of one library, not yet fitted."""

    def __init__(self, log: IntArray, asked: dict[str, Any]) -> None:
        """Take the log [N, 2] of users and items, sorted by user, no pair twice; `asked` holds the settings."""
        ...

    def fit(self) -> None:
        """Learn from the start, however often."""
        ...

    def recommend(self) -> Any:
        """The best items for every user, those of the log left out, as the library gives them."""
        ...

    def lists(self, recommended: Any) -> IntArray:
        """The same as item numbers, [U, K] int32."""
        ...


def quickest(work: Callable[[], Any]) -> tuple[list[float], Any]:
    """The least wall and CPU seconds, the latter those of all threads together, and what `work` gave last.

    Repeated where that does not take long: a single time depends on the state of memory.
    """
    walls: list[float] = []
    cpus: list[float] = []
    result = None
    while len(walls) < TIMES and sum(walls) < ENOUGH:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return [min(walls), min(cpus)], result


def measure(library: Callable[[IntArray, dict[str, Any]], Library]) -> None:
    """Print one line of JSON: seconds to fit and to recommend. The lists go to the folder that is asked for."""
    asked = json.loads(sys.argv[1])
    log = np.load(asked["log"])
    few = log[log[:, 0] < WARM_UP]
    few[:, 1] = np.unique(few[:, 1], return_inverse=True)[1]
    first = library(few, asked)
    first.fit()
    first.recommend()
    second = library(log, asked)
    fit, _ = quickest(second.fit)
    recommend, recommended = quickest(second.recommend)
    np.save(f"{asked['lists']}/{asked['model']}_{asked['who']}.npy", second.lists(recommended))
    print(json.dumps({"fit": fit, "recommend": recommend}))
