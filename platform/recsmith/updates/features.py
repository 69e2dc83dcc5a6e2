"""Encoded columns brought to more items and users: old rows as training saw them, new ones by the same encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from recsmith.contracts.content import Content, wanted_content
from recsmith.contracts.data import LOG
from recsmith.contracts.errors import ArtifactError
from recsmith.contracts.plugins import GRADIENTS
from recsmith.data.features import SEED, Encoded, stacked
from recsmith.data.whitening import Whitened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.artifacts.members import EncodedColumn, Member
    from recsmith.contracts.config import Choice
    from recsmith.contracts.content import ItemContent, Table, UserContent
    from recsmith.contracts.data import FeatureMatrix, Fold
    from recsmith.contracts.plugins import Encoder
    from recsmith.updates.growth import Renumbering
    from recsmith.wiring.registry import Registry


def grown_content(member: Member, fold: Fold, numbers: Renumbering, registry: Registry) -> Mapping[Table, Encoded]:
    """What the member's settings ask for, for the users and items of `fold`.

    Encoders are not fitted anew: the vocabulary stays that of the study. A column of the log ("log.review") says
    nothing of new items and users, since an artifact does not hold such columns.

    Raises:
        ArtifactError: the member lacks a column, or an encoder gives other features than it did.
    """
    config = registry.config("models", member.configuration)
    return {
        table: _Grown(table, member, fold, numbers, registry).encoded(wanted)
        for table, wanted in wanted_content(config).items()
    }


class _Grown:
    """The columns of one table."""

    def __init__(self, table: Table, member: Member, fold: Fold, numbers: Renumbering, registry: Registry) -> None:
        self.table: Table = table
        self.member = member
        self.old, self.rows = numbers.of(table)
        self.columns = {column.name: column for column in (fold.items if table == "items" else fold.users)}
        self.context = registry.context(item_counts=fold.train.counts, users=fold.train.users, seed=SEED)
        self.registry = registry

    def encoded(self, wanted: ItemContent | UserContent) -> Encoded:
        """All columns that are asked for."""
        features: dict[str, FeatureMatrix] = {}
        encoders: dict[str, Encoder] = {}
        trained: dict[str, Encoder] = {}
        for name, choice in sorted(wanted.encoders.items()):
            if (self.table, name) not in self.member.columns:
                raise ArtifactError(f"{self.member.configuration.name}: the artifact has no features of {name!r}.")
            before = self.member.columns[self.table, name]
            encoders[name] = self._encoder(choice, before, wanted.whiten)
            features[name] = self._grown(name, before, encoders[name])
            if before.learns:
                trained[name] = encoders[name]
        fuser = self.registry.build("fusers", wanted.fuser, self.context)
        return Encoded(Content(self.rows, features, fuser, trained), encoders)

    def _encoder(self, choice: Choice, before: EncodedColumn, whiten: int) -> Encoder:
        encoder: Encoder = self.registry.build("encoders", choice, self.context)
        if whiten and GRADIENTS not in self.registry.spec("encoders", choice.name).needs:
            encoder = Whitened(encoder, whiten)
        encoder.load(before.encoder)
        return encoder

    def _grown(self, name: str, before: EncodedColumn, encoder: Encoder) -> FeatureMatrix:
        new = np.setdiff1d(np.arange(self.rows), self.old)
        order = np.argsort(np.concatenate([self.old, new]), kind="stable")
        if not len(new):
            return before.features[order]
        width = before.features.shape[1]
        fresh = blank_rows(before.features, len(new))
        if not name.startswith(LOG) and name in self.columns:
            fresh = encoder.features(self.columns[name].take(new))
        if fresh.shape[1] != width or isinstance(fresh, np.ndarray) != isinstance(before.features, np.ndarray):
            raise ArtifactError(
                f"{self.member.configuration.name}: the encoder of {name!r} gives other features than when it was "
                "fitted. Install the versions that the manifest names, or run a new study."
            )
        return stacked(before.features, fresh)[order]


def blank_rows(like: FeatureMatrix, rows: int) -> FeatureMatrix:
    """Rows that say nothing, in a matrix of the same kind."""
    blank = np.zeros((rows, like.shape[1]), np.float32)
    return blank if isinstance(like, np.ndarray) else sparse.csr_array(blank)
