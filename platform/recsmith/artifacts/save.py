"""From fitted models to a folder that can be checked, served and handed on. The format is docs/artifact.md."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from recsmith.artifacts.card import model_card
from recsmith.artifacts.catalogue import catalogue_of, read_catalogue, write_catalogue
from recsmith.artifacts.files import digest, write_json
from recsmith.artifacts.golden import Golden, ask
from recsmith.artifacts.load import load_artifact, recommender_of
from recsmith.artifacts.manifest import libraries, note, plugin_uses, seal
from recsmith.artifacts.members import EncodedColumn, Member, Workshop, in_full, read_member, write_member
from recsmith.artifacts.place import placed
from recsmith.artifacts.verify import Content
from recsmith.contracts.artifact import MANIFEST, SCHEMA_VERSION, ArtifactFacts, Combination, FileEntry, Manifest
from recsmith.contracts.data import Requests
from recsmith.contracts.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from recsmith.artifacts.catalogue import Catalogue
    from recsmith.contracts.data import Fold
    from recsmith.contracts.models import Model
    from recsmith.wiring.registry import Registry

__all__ = ["ArtifactFacts", "Combination", "EncodedColumn", "Member", "save_artifact"]

UNSEALED = "0" * 64
COMPARED = 20  # users


def save_artifact(
    destination: Path,
    members: Sequence[Member],
    fold: Fold,
    registry: Registry,
    *,
    facts: ArtifactFacts,
    combination: Combination | None = None,
) -> Path:
    """Write an artifact; an older one at `destination` stays whole until the new one takes its place.

    Args:
        destination: the artifact's folder.
        members: the fitted models. One is the answer by itself, several need a `combination`.
        fold: what they were fitted on: its training rows are the histories, its items the catalogue.
        registry: the plugins that they were built with.
        facts: where they come from and how good they were found to be.
        combination: how the members' lists become one.

    Raises:
        ArtifactError: a state is no plain finite data, a model read back from it cannot be built or scores otherwise,
            or `destination` is something else than an artifact.
    """
    combination = combination or Combination()
    if not members or (len(members) > 1 and combination.combiner is None):
        raise ArtifactError(f"{destination}: {len(members)} members and no combiner; name one in `combination`.")
    catalogue = catalogue_of(fold)
    members = [replace(each, configuration=in_full(registry, "models", each.configuration)) for each in members]
    with placed(destination) as folder:
        _write(folder, members, catalogue, combination)
        manifest = _manifest(members, catalogue, facts)
        manifest = _write_golden(folder, manifest, registry, combination, members, fold)
        (folder / "README.md").write_text(model_card(manifest), encoding="utf-8")
        _write_manifest(folder, manifest)
        load_artifact(folder, registry)
    return destination


def _write(folder: Path, members: Sequence[Member], catalogue: Catalogue, combination: Combination) -> None:
    for number, member in enumerate(members):
        write_member(folder / "members" / str(number), member)
    write_catalogue(folder / "catalog", catalogue)
    write_json(folder / "combination.json", combination.model_dump(mode="json"))


def _manifest(members: Sequence[Member], catalogue: Catalogue, facts: ArtifactFacts) -> Manifest:
    return Manifest(
        schema_version=SCHEMA_VERSION,
        recsmith=metadata.version("recsmith"),
        facts=facts,
        note=note(facts),
        configurations=tuple(member.configuration for member in members),
        users=len(catalogue.user_ids),
        items=len(catalogue.item_ids),
        interactions=len(catalogue.histories.item_num),
        ordered=catalogue.ordered,
        plugins=(),
        libraries=libraries(),
        files={},
        sha256=UNSEALED,
    )


def _write_golden(
    folder: Path,
    manifest: Manifest,
    registry: Registry,
    combination: Combination,
    fitted: Sequence[Member],
    fold: Fold,
) -> Manifest:
    """Answer the golden requests with what was written, read back; add the plugins that this took to the manifest."""
    members = tuple(read_member(folder / "members" / str(number)) for number in range(len(manifest.configurations)))
    catalogue = read_catalogue(folder / "catalog", manifest)
    workshop = Workshop(registry, catalogue)
    content = Content(manifest, catalogue, members, combination, Golden(k=1, requests=()))
    recommender = recommender_of(content, workshop)
    for member, restored in zip(fitted, recommender.ensemble.members, strict=True):
        if member.model is not None:
            _compare(member.configuration.name, member.model, restored.model, fold)
    golden = ask(recommender, catalogue)
    write_json(folder / "golden.json", golden.model_dump(mode="json"))
    return manifest.model_copy(update={"plugins": plugin_uses(registry, workshop.asked)})


def _compare(name: str, fitted: Model, restored: Model, fold: Fold) -> None:
    users = np.unique(np.linspace(0, fold.train.users - 1, COMPARED).astype(np.int32))
    requests = Requests(users, fold.train.histories.take(users.astype(np.int64)), histories_are_training=True)
    scores, again = fitted.scores(requests), restored.scores(requests)
    if not np.array_equal(scores, again):
        raise ArtifactError(
            f"{name}: read back from its state, it scores otherwise than when it was saved: its `state` does not give "
            "all that its `load` needs."
        )


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    files = {
        path.relative_to(folder).as_posix(): FileEntry(size=path.stat().st_size, sha256=digest(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    content = manifest.model_copy(update={"files": files}).model_dump(mode="json")
    write_json(folder / MANIFEST, {**content, "sha256": seal(content)})
