"""One update: what is held out, what is learnt from which rows, and how both versions are judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from recsmith.artifacts.ensemble import Ensemble
from recsmith.artifacts.members import Restored, serves_new_users
from recsmith.contracts.data import Holdout, Requests
from recsmith.contracts.errors import PlanError, UpdateError
from recsmith.data.fold import judged_users, numbered
from recsmith.data.split import WITH_TABLE
from recsmith.search.suggest import derive_seed
from recsmith.updates.earlier import Earlier
from recsmith.updates.growth import Renumbering
from recsmith.updates.judgement import Bench, Judgement, compare_on, forgetting, old_requests
from recsmith.updates.learning import Learnt, Lesson, learn_more
from recsmith.updates.settings import LAST, UpdateSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsmith.artifacts.catalogue import Catalogue
    from recsmith.artifacts.recommender import Recommender
    from recsmith.artifacts.verify import Content
    from recsmith.contracts.artifact import ArtifactFacts, Compared
    from recsmith.contracts.data import BoolArray, Fold, LongArray
    from recsmith.contracts.models import Model
    from recsmith.data.coded import Dataset
    from recsmith.updates.joined import Joined
    from recsmith.wiring.registry import Registry


@dataclass(frozen=True, eq=False)
class Candidate:
    """All members after they have learnt some of the rows."""

    fold: Fold
    learnt: Sequence[Learnt]


@dataclass(frozen=True, eq=False)
class Task:
    """An artifact, the joined log, and how to learn."""

    content: Content
    recommender: Recommender
    joined: Joined
    settings: UpdateSettings
    registry: Registry

    @property
    def facts(self) -> ArtifactFacts:
        """Of the artifact."""
        return self.content.manifest.facts

    @property
    def number(self) -> int:
        """Updates since the study, this one included."""
        return 1 if self.facts.update is None else self.facts.update.number + 1

    @property
    def bench(self) -> Bench:
        """As the study judged; in the cold scenarios too it is the next interactions that are asked for."""
        scenario = "rating" if self.facts.scenario == "rating" else "next_item"
        metrics = tuple(self.facts.metrics)
        return Bench(self.facts.objective, metrics, scenario, self.facts.mask_seen, self.registry, self.settings.seed)

    def judged(self) -> tuple[Judgement, Candidate]:
        """A candidate that lacks the held-out rows, beside the artifact.

        Raises:
            UpdateError: nobody can be judged.
        """
        dataset, target = self.joined.dataset, held_out(self.joined, self.settings)
        if not len(judged_users(dataset, ~target, target, None)):
            raise UpdateError(
                f"{dataset.source}: nobody can be judged: no user has both a held-out new row and another row. "
                "Wait for more rows, or choose another --hold-out."
            )
        candidate = self.candidate(~target, target)
        fold, catalogue = candidate.fold, self.content.catalogue
        before = self._earlier(self.recommender.ensemble, catalogue.counts, renumbering(catalogue, fold))
        known = np.isin(fold.user_ids, catalogue.user_ids)
        figures, judged = compare_on(before, self._serving(candidate), fold, known, self.bench)
        if any(learnt.way == "continued" for learnt in candidate.learnt):
            lost = self._forgotten(before, candidate)
        else:
            lost = self._diluted(target)
        return Judgement(self.facts.objective, figures, judged, lost), candidate

    def _forgotten(self, before: Model, candidate: Candidate) -> Compared:
        """Artifact and candidate on old rows, which both have learnt."""
        catalogue, fold = self.content.catalogue, candidate.fold
        numbers = renumbering(catalogue, fold)
        old = old_requests(catalogue.histories, numbers, ordered=catalogue.ordered, seed=self.settings.seed)
        return forgetting(before, self._serving(candidate), fold, old, self.bench)

    def _diluted(self, target: BoolArray) -> Compared:
        """For models that are fitted anew: both fits without some old rows, with the new ones and without, on these.

        Judged on rows that it has learnt, an exact fit of more rows looks worse than that of fewer: it fits each less
        closely. On rows that neither has learnt the two are alike, unless the new rows do harm.
        """
        joined = self.joined
        dataset, old = joined.dataset, ~joined.new
        last = last_of_each(dataset, old, old, self.settings.seed)
        elsewhere = np.zeros(len(dataset.item_ids), np.bool_)
        elsewhere[dataset.item[old & ~last]] = True
        last &= elsewhere[dataset.item]  # so that both fits know every item of the artifact
        without, with_new = self.candidate(old & ~last, last), self.candidate(~last & ~target)
        numbers = renumbering(without.fold, with_new.fold)
        before = self._earlier(self._ensemble(without), without.fold.train.counts, numbers)
        asked = _renumbered(without.fold.holdout, numbers)
        return forgetting(before, self._serving(with_new), with_new.fold, asked, self.bench)

    def candidate(self, train: BoolArray, target: BoolArray | None = None) -> Candidate:
        """Every member after it has learnt the rows `train` [N]."""
        catalogue, dataset = self.content.catalogue, self.joined.dataset
        fold = numbered(dataset, train, target, with_table=self.facts.scenario in WITH_TABLE)
        fresh = np.isin(fold.user_ids, dataset.user_ids[np.unique(dataset.user[train & self.joined.new])])
        numbers = renumbering(catalogue, fold)
        seed = derive_seed(self.settings.seed, self.number)
        lesson = Lesson(fold, catalogue.histories, numbers, fresh, self.settings, self.registry, seed)
        members = zip(self.content.members, self.recommender.ensemble.members, strict=True)
        learnt = [
            learn_more(replace(member, model=restored.model), lesson, epochs=self.facts.epochs)
            for member, restored in members
        ]
        return Candidate(fold, learnt)

    def _ensemble(self, candidate: Candidate) -> Ensemble:
        members = tuple(
            Restored(learnt.prepared.serving, serves_new_users(self.registry, member.configuration))
            for learnt, member in zip(candidate.learnt, self.content.members, strict=True)
        )
        return Ensemble(members, self.recommender.ensemble.combiner, self.recommender.ensemble.depth)

    def _serving(self, candidate: Candidate) -> Model:
        """The candidate as one model of its own numbers."""
        if self.recommender.ensemble.combiner is None:
            serving: Model = candidate.learnt[0].prepared.serving
            return serving
        train = candidate.fold.train
        same = Renumbering(np.arange(train.users), np.arange(train.items), train.users, train.items)
        return self._earlier(self._ensemble(candidate), train.counts, same)

    def _earlier(self, ensemble: Ensemble, counts: LongArray, numbers: Renumbering) -> Earlier:
        rating = self.facts.scenario == "rating"
        return Earlier.of(ensemble, counts, numbers, mask_seen=self.facts.mask_seen, rating=rating)


def renumbering(earlier: Catalogue | Fold, fold: Fold) -> Renumbering:
    """Where users and items of an earlier time stand in a fold that has them all."""
    return Renumbering(
        np.searchsorted(fold.user_ids, earlier.user_ids),
        np.searchsorted(fold.item_ids, earlier.item_ids),
        fold.train.users,
        fold.train.items,
    )


def _renumbered(holdout: Holdout, numbers: Renumbering) -> Holdout:
    """Requests of known users with the items that followed, by later numbers."""
    requests = holdout.requests
    users, items = numbers.users[requests.user_num].astype(np.int32), numbers.items[holdout.target_item]
    renumbered = Requests(users, numbers.histories(requests.histories))
    return replace(holdout, requests=renumbered, target_item=items.astype(np.int32))


def held_out(joined: Joined, settings: UpdateSettings) -> BoolArray:
    """The new rows that both versions are asked for, [N]: the last of each user with another row, or the newest share.

    Raises:
        PlanError: a share of the newest rows is asked for, and there are no moments.
    """
    dataset = joined.dataset
    if settings.hold_out == LAST:
        return last_of_each(dataset, joined.new, np.ones(len(dataset), np.bool_), settings.seed)
    if dataset.timestamp is None:
        raise PlanError(f"{dataset.source}: --hold-out {settings.hold_out:g} needs timestamps. Hold out `last`.")
    new = np.flatnonzero(joined.new)
    target = np.zeros(len(dataset), np.bool_)
    target[new[len(new) - max(1, round(settings.hold_out * len(new))) :]] = True
    return target


def last_of_each(dataset: Dataset, among: BoolArray, counted: BoolArray, seed: int) -> BoolArray:
    """The last row `among` [N] those of each user who has two or more of the `counted` ones, [N].

    Where order means nothing it is one at random.
    """
    rows = np.flatnonzero(among)
    places = dataset.take(rows).log.places(None if dataset.ordered else seed)
    size = len(dataset.user_ids)
    ends = np.bincount(dataset.user[rows], minlength=size) - 1
    enough = np.bincount(dataset.user[counted], minlength=size) > 1
    last = np.zeros(len(dataset), np.bool_)
    last[rows[(places == ends[dataset.user[rows]]) & enough[dataset.user[rows]]]] = True
    return last
