"""Find the best recommender for an interaction log.

    import recsmith

    result = recsmith.run_study(recsmith.load_plan("plan.yaml"))
    recommender = recsmith.load_artifact(result.artifact)
    recommender.recommend(user_ids=["42"], k=10)

Names are loaded when they are first used: importing the package loads no torch, ray, optuna or pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsmith.artifacts.load import load_artifact
    from recsmith.artifacts.verify import verify
    from recsmith.contracts.errors import RecsmithError
    from recsmith.contracts.plan import Plan
    from recsmith.study.export import export_artifact
    from recsmith.study.frames import find_best
    from recsmith.study.study import run_study
    from recsmith.updates.settings import UpdateSettings
    from recsmith.updates.update import update_artifact
    from recsmith.wiring.plan import load_plan

__all__ = [
    "Plan",
    "RecsmithError",
    "UpdateSettings",
    "export_artifact",
    "find_best",
    "load_artifact",
    "load_plan",
    "run_study",
    "update_artifact",
    "verify",
]

_HOMES = {
    "Plan": "recsmith.contracts.plan",
    "RecsmithError": "recsmith.contracts.errors",
    "UpdateSettings": "recsmith.updates.settings",
    "export_artifact": "recsmith.study.export",
    "find_best": "recsmith.study.frames",
    "load_artifact": "recsmith.artifacts.load",
    "load_plan": "recsmith.wiring.plan",
    "run_study": "recsmith.study.study",
    "update_artifact": "recsmith.updates.update",
    "verify": "recsmith.artifacts.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module 'recsmith' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
