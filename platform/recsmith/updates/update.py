"""The straight line of an update: the artifact and newer rows become a candidate, a judgement and a new artifact."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.artifacts.load import open_artifact
from recsmith.artifacts.manifest import check_plugins
from recsmith.artifacts.place import refuse_stranger
from recsmith.artifacts.save import save_artifact
from recsmith.artifacts.verify import verify
from recsmith.contracts.artifact import MANIFEST, UpdateFacts
from recsmith.contracts.errors import UpdateError
from recsmith.contracts.results import Figure, Result
from recsmith.study.observers import tell
from recsmith.study.refit import member_of
from recsmith.updates.joined import join, read_newer
from recsmith.updates.settings import UpdateSettings
from recsmith.updates.task import Candidate, Task
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from recsmith.updates.judgement import Judgement


class UpdateResult(Result):
    """What an update wrote and found."""

    artifact: str
    objective: str
    metrics: dict[str, Figure]  # on held-out new rows
    update: UpdateFacts
    notes: tuple[str, ...]  # sentences


def update_artifact(
    artifact: Path | str,
    source: Path | str,
    destination: Path | str,
    settings: UpdateSettings | None = None,
    *,
    data: Mapping[str, Any] | None = None,
    frame: pd.DataFrame | None = None,
) -> UpdateResult:
    """Learn newer rows, judge beside the artifact on the same requests, and write what is no worse.

    A candidate learns all rows but some held-out new ones, and both versions are judged on these. Then the same is
    learnt with the held-out rows too, and saved: nothing is written before, and the artifact is only read.

    Args:
        artifact: the folder of an artifact.
        source: the newer rows, as any reader takes them, with the columns of the log that the artifact came from.
        destination: what to write; it may be `artifact` itself.
        settings: how to learn and what must not be lost.
        data: keys of a plan's `data` where the newer log differs, as {"columns.user": "customer"}.
        frame: the newer rows as a table in memory.

    Raises:
        UpdateError: the update is worse or forgets, and `settings.anyway` is not set; or nobody can be judged; or the
            artifact is one of the scenario cross_domain.
        RecsmithError: artifact, rows or plugins cannot be used.
    """
    started = time.monotonic()
    settings = settings or UpdateSettings()
    destination = Path(destination).absolute()
    refuse_stranger(destination)
    check_plugins(verify(Path(artifact)))
    loaded = load_plugins()
    content, recommender = open_artifact(artifact, loaded.registry)
    if content.catalogue.candidates is not None:
        raise UpdateError(
            f"{artifact}: it recommends from one domain, which an update does not know: run a study anew."
        )
    reading = content.manifest.facts.reading
    newer = read_newer(source, content.catalogue, reading, loaded.registry, changes=data, frame=frame)
    joined = join(content.catalogue, newer, by_time=reading is None or reading.order != "rows")
    task = Task(content, recommender, joined, settings, loaded.registry)
    try:
        found, candidate = task.judged()
        refused = found.refusal(settings.forgetting)
        if refused is not None and not settings.anyway:
            raise UpdateError(f"{source}: {refused}. Nothing is written; with --anyway it is.")
        final = task.candidate(np.ones(len(joined.dataset), np.bool_))
    except MemoryError as error:
        raise UpdateError(f"{artifact}: {error}.") from error
    update = _facts(task, final, found, refused, time.monotonic() - started)
    _save(destination, task, final, found, update)
    manifest = json.loads((destination / MANIFEST).read_text(encoding="utf-8"))
    tell(loaded.manager, "artifact_saved", path=destination, manifest=manifest)
    return UpdateResult(
        artifact=str(destination),
        objective=found.objective,
        metrics=dict(found.figures),
        update=update,
        notes=(*joined.notes, *(each.why for each in candidate.learnt if each.why)),
    )


def _facts(task: Task, final: Candidate, found: Judgement, refused: str | None, seconds: float) -> UpdateFacts:
    manifest, settings, train = task.content.manifest, task.settings, final.fold.train
    return UpdateFacts(
        parent=manifest.sha256,
        number=task.number,
        interactions=int(task.joined.new.sum()),
        users=train.users - manifest.users,
        items=train.items - manifest.items,
        ways=tuple(learnt.way for learnt in final.learnt),
        epochs=settings.epochs,
        replay=settings.replay,
        rate=settings.rate,
        hold_out=str(settings.hold_out),
        judged=dict(found.judged),
        forgetting=found.forgetting,
        bound=settings.forgetting,
        refused=refused,
        seconds=round(seconds, 1),
    )


def _save(destination: Path, task: Task, final: Candidate, found: Judgement, update: UpdateFacts) -> None:
    content = task.content
    changes: dict[str, Any] = {
        "metrics": dict(found.figures),
        "split": f"update: {update.hold_out}",
        "split_hash": task.joined.dataset.fingerprint,
        "data_fingerprint": task.joined.dataset.fingerprint,
        "seeds": {**task.facts.seeds, "update": task.settings.seed},
        "refit": "all",
        "update": update,
    }
    pairs = zip(content.members, final.learnt, strict=True)
    members = [member_of(member.configuration, learnt.prepared) for member, learnt in pairs]
    facts = task.facts.model_copy(update=changes)
    save_artifact(destination, members, final.fold, task.registry, facts=facts, combination=content.combination)
