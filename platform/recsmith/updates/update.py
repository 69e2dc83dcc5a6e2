"""The straight line of an update: the artifact and newer rows become a candidate, a judgement and a new artifact."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recsmith.artifacts.ensemble import Ensemble
from recsmith.artifacts.load import open_artifact
from recsmith.artifacts.manifest import check_plugins
from recsmith.artifacts.members import Restored, serves_new_users
from recsmith.artifacts.place import refuse_stranger
from recsmith.artifacts.save import save_artifact
from recsmith.artifacts.verify import verify
from recsmith.contracts.artifact import MANIFEST, UpdateFacts
from recsmith.contracts.errors import PlanError, UpdateError
from recsmith.contracts.results import Figure, Result
from recsmith.data.fold import judged_users, numbered
from recsmith.data.split import WITH_TABLE
from recsmith.search.suggest import derive_seed
from recsmith.study.observers import tell
from recsmith.study.refit import member_of
from recsmith.updates.earlier import Earlier
from recsmith.updates.growth import Renumbering
from recsmith.updates.joined import Joined, join, read_newer
from recsmith.updates.judgement import Bench, Judgement, judgement, old_requests
from recsmith.updates.learning import Learnt, Lesson, learn_more
from recsmith.updates.settings import LAST, UpdateSettings
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from recsmith.artifacts.catalogue import Catalogue
    from recsmith.artifacts.members import Member
    from recsmith.artifacts.recommender import Recommender
    from recsmith.artifacts.verify import Content
    from recsmith.contracts.data import BoolArray, Fold
    from recsmith.contracts.models import Model
    from recsmith.wiring.registry import Registry


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
        UpdateError: the update is worse or forgets, and `settings.anyway` is not set; or nobody can be judged.
        RecsmithError: artifact, rows or plugins cannot be used.
    """
    started = time.monotonic()
    settings = settings or UpdateSettings()
    destination = Path(destination).absolute()
    refuse_stranger(destination)
    check_plugins(verify(Path(artifact)))
    loaded = load_plugins()
    content, recommender = open_artifact(artifact, loaded.registry)
    reading = content.manifest.facts.reading
    newer = read_newer(source, content.catalogue, reading, loaded.registry, changes=data, frame=frame)
    joined = join(content.catalogue, newer, by_time=reading is None or reading.order != "rows")
    task = _Task(content, recommender, joined, settings, loaded.registry)
    try:
        found, learnt = task.judged()
        refused = found.refusal(settings.forgetting)
        if refused is not None and not settings.anyway:
            raise UpdateError(f"{source}: {refused}. Nothing is written; with --anyway it is.")
        final = task.candidate(np.ones(len(joined.dataset), np.bool_))
    except MemoryError as error:
        raise UpdateError(f"{artifact}: {error}.") from error
    update = task.facts(final, found, refused, time.monotonic() - started)
    _save(destination, task, final, found, update)
    manifest = json.loads((destination / MANIFEST).read_text(encoding="utf-8"))
    tell(loaded.manager, "artifact_saved", path=destination, manifest=manifest)
    return UpdateResult(
        artifact=str(destination),
        objective=found.objective,
        metrics=dict(found.figures),
        update=update,
        notes=(*joined.notes, *(each.why for each in learnt if each.why)),
    )


@dataclass(frozen=True, eq=False)
class Candidate:
    """All members after they have learnt some of the rows."""

    fold: Fold
    numbers: Renumbering
    learnt: Sequence[Learnt]


@dataclass(frozen=True, eq=False)
class _Task:
    """One update."""

    content: Content
    recommender: Recommender
    joined: Joined
    settings: UpdateSettings
    registry: Registry

    @property
    def number(self) -> int:
        """Updates since the study, this one included."""
        before = self.content.manifest.facts.update
        return 1 if before is None else before.number + 1

    def judged(self) -> tuple[Judgement, Sequence[Learnt]]:
        """A candidate that lacks the held-out rows, beside the artifact."""
        dataset, facts = self.joined.dataset, self.content.manifest.facts
        target = held_out(self.joined, self.settings)
        if not len(judged_users(dataset, ~target, target, None)):
            raise UpdateError(
                f"{dataset.source}: nobody can be judged: no user has both a held-out new row and another row. "
                "Wait for more rows, or choose another --hold-out."
            )
        candidate = self.candidate(~target, target)
        fold, numbers = candidate.fold, candidate.numbers
        rating = facts.scenario == "rating"
        bench = Bench(
            facts.objective,
            tuple(facts.metrics),
            "rating" if rating else "next_item",
            facts.mask_seen,
            self.registry,
            self.settings.seed,
        )
        combined, catalogue = self.recommender.ensemble, self.content.catalogue
        before = Earlier.of(combined, catalogue.counts, numbers, mask_seen=facts.mask_seen, rating=rating)
        known = np.isin(fold.user_ids, catalogue.user_ids)
        old = old_requests(catalogue.histories, numbers, ordered=catalogue.ordered, seed=self.settings.seed)
        return judgement(before, self._serving(candidate), fold, known, old, bench), candidate.learnt

    def candidate(self, train: BoolArray, target: BoolArray | None = None) -> Candidate:
        """Every member after it has learnt the rows `train` [N]."""
        facts, catalogue = self.content.manifest.facts, self.content.catalogue
        dataset = self.joined.dataset
        fold = numbered(dataset, train, target, with_table=facts.scenario in WITH_TABLE)
        numbers = renumbering(catalogue, fold)
        seed = derive_seed(self.settings.seed, self.number)
        fresh = np.isin(fold.user_ids, dataset.user_ids[np.unique(dataset.user[train & self.joined.new])])
        lesson = Lesson(fold, catalogue.histories, numbers, fresh, self.settings, self.registry, seed)
        members = zip(self.content.members, self.recommender.ensemble.members, strict=True)
        learnt = [
            learn_more(replace(member, model=restored.model), lesson, epochs=facts.epochs)
            for member, restored in members
        ]
        return Candidate(fold, numbers, learnt)

    def _serving(self, candidate: Candidate) -> Model:
        """The candidate as one model."""
        ensemble, train = self.recommender.ensemble, candidate.fold.train
        if ensemble.combiner is None:
            serving: Model = candidate.learnt[0].prepared.serving
            return serving
        members = tuple(
            Restored(learnt.prepared.serving, serves_new_users(self.registry, member.configuration))
            for learnt, member in zip(candidate.learnt, self.content.members, strict=True)
        )
        same = Renumbering(np.arange(train.users), np.arange(train.items), train.users, train.items)
        facts = self.content.manifest.facts
        joined = Ensemble(members, ensemble.combiner, ensemble.depth)
        return Earlier.of(joined, train.counts, same, mask_seen=facts.mask_seen, rating=facts.scenario == "rating")

    def facts(self, final: Candidate, found: Judgement, refused: str | None, seconds: float) -> UpdateFacts:
        """For the manifest."""
        manifest, settings = self.content.manifest, self.settings
        return UpdateFacts(
            parent=manifest.sha256,
            number=self.number,
            interactions=int(self.joined.new.sum()),
            users=final.fold.train.users - manifest.users,
            items=final.fold.train.items - manifest.items,
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


def _save(destination: Path, task: _Task, final: Candidate, found: Judgement, update: UpdateFacts) -> None:
    content = task.content
    facts = content.manifest.facts.model_copy(
        update={
            "metrics": dict(found.figures),
            "split": f"update: {update.hold_out}",
            "split_hash": task.joined.dataset.fingerprint,
            "data_fingerprint": task.joined.dataset.fingerprint,
            "seeds": {**content.manifest.facts.seeds, "update": task.settings.seed},
            "refit": "all",
            "update": update,
        }
    )
    pairs = zip(content.members, final.learnt, strict=True)
    members: list[Member] = [member_of(member.configuration, learnt.prepared) for member, learnt in pairs]
    save_artifact(destination, members, final.fold, task.registry, facts=facts, combination=content.combination)


def renumbering(catalogue: Catalogue, fold: Fold) -> Renumbering:
    """Where the users and items of a catalogue stand in a fold that has them all."""
    return Renumbering(
        np.searchsorted(fold.user_ids, catalogue.user_ids),
        np.searchsorted(fold.item_ids, catalogue.item_ids),
        fold.train.users,
        fold.train.items,
    )


def held_out(joined: Joined, settings: UpdateSettings) -> BoolArray:
    """The new rows that both versions are asked for, [N]: the last of each user with another row, or the newest share.

    Where order means nothing the last one is one at random.

    Raises:
        PlanError: a share of the newest rows is asked for, and there are no moments.
    """
    dataset, new = joined.dataset, np.flatnonzero(joined.new)
    target = np.zeros(len(dataset), np.bool_)
    if settings.hold_out != LAST:
        if dataset.timestamp is None:
            raise PlanError(f"{dataset.source}: --hold-out {settings.hold_out:g} needs timestamps. Hold out `last`.")
        target[new[len(new) - max(1, round(settings.hold_out * len(new))) :]] = True
        return target
    places = dataset.take(new).log.places(None if dataset.ordered else settings.seed)
    counts = np.bincount(dataset.user[new], minlength=len(dataset.user_ids))
    last = new[places == counts[dataset.user[new]] - 1]
    target[last[np.bincount(dataset.user)[dataset.user[last]] > 1]] = True
    return target
