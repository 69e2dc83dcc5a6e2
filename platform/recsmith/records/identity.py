"""What makes a study folder this study and no other: `study.json`, written once, before anything else."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recsmith.contracts.errors import StudyError
from recsmith.contracts.plan import Plan
from recsmith.records.atomic import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CHANGEABLE = ("budget", "engine", "memory")  # what a resume may give anew


@dataclass(frozen=True)
class Identity:
    """The plan and the split of a study, and a number of the folder's own for databases that many folders share."""

    plan: Plan
    split_hash: str
    folder_id: str


def read_identity(folder: Path) -> Identity | None:
    """The identity of a study folder; None where no study has begun."""
    path = folder / "study.json"
    if not path.exists():
        return None
    content = json.loads(path.read_bytes())
    return Identity(Plan.model_validate(content["plan"]), content["split_hash"], content["folder_id"])


def claim(folder: Path, plan: Plan, split_hash: str) -> Identity:
    """Begin a study in `folder`, or make sure that it holds this one.

    Raises:
        StudyError: the folder holds a study of another plan or another split.
    """
    found = read_identity(folder)
    if found is None:
        identity = Identity(plan, split_hash, uuid.uuid4().hex)
        content = {"plan": plan.model_dump(mode="json"), "split_hash": split_hash, "folder_id": identity.folder_id}
        write_whole(folder / "study.json", json.dumps(content, indent=2).encode())
        return identity
    changed = list(_differences(_fixed(found.plan), _fixed(plan)))
    if found.split_hash != split_hash:
        changed.append("the log or its split (other interactions in training, validation or test)")
    if changed:
        raise StudyError(
            f"{folder}: this folder holds a study that differs in {'; '.join(changed)}. "
            "Choose another folder, or give the plan back as it was (budget, engine and memory may change)."
        )
    return found


def _fixed(plan: Plan) -> dict[str, Any]:
    return {name: value for name, value in plan.model_dump(mode="json").items() if name not in CHANGEABLE}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, f"{prefix}{name}.")
        elif before != after:
            yield f"{prefix}{name} (was {before!r}, now {after!r})"
