"""How the next point is drawn: Optuna's TPE over groups of parameters that occur together."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from recsmith.search.suggest import derive_seed, suggest

if TYPE_CHECKING:
    from collections.abc import Callable

    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

    from recsmith.contracts.config import Choice
    from recsmith.contracts.space import SearchSpace


def tpe(seed: int) -> BaseSampler:
    """TPE, multivariate in groups: without groups every conditional parameter would be drawn on its own.

    Bergstra et al., Algorithms for hyper-parameter optimization, 2011; Falkner et al., BOHB, 2018.
    """
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import TPESampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of `group`
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def proposer(space: SearchSpace, seed: int) -> Callable[[Trial], Choice]:
    """What `StudyRecord.ask` needs: each trial is drawn with a seed of its own, so a resume repeats no point."""

    def propose(trial: Trial) -> Choice:
        trial.study.sampler = tpe(derive_seed(seed, trial.number))
        return suggest(space, trial)

    return propose
