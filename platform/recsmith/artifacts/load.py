"""From a folder to a recommender: verified, built by the installed plugins, and asked its golden requests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recsmith.artifacts.ensemble import Ensemble
from recsmith.artifacts.golden import replay
from recsmith.artifacts.manifest import check_plugins
from recsmith.artifacts.members import Workshop, restore
from recsmith.artifacts.recommender import Recommender
from recsmith.artifacts.verify import read_content, verify
from recsmith.contracts.errors import ArtifactError, RecsmithError
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from recsmith.artifacts.verify import Content
    from recsmith.wiring.registry import Registry

__all__ = ["load_artifact", "open_artifact", "recommender_of", "verify"]


def load_artifact(path: Path | str, registry: Registry | None = None) -> Recommender:
    """Verify an artifact, build its models and replay its golden requests.

    Args:
        path: the folder.
        registry: plugins to build with. None: the installed ones that the manifest names, and no others are imported.

    Raises:
        ArtifactError: the artifact is changed, incomplete or newer, a plugin that it needs is missing or of another
            major version, or a golden request is answered otherwise than before.
    """
    return open_artifact(path, registry)[1]


def open_artifact(path: Path | str, registry: Registry | None = None) -> tuple[Content, Recommender]:
    """As `load_artifact`, with the plain data that the recommender was built from."""
    path = Path(path)
    content = read_content(path)
    try:
        if registry is None:
            check_plugins(content.manifest)
            names = [use.entry_point for use in content.manifest.plugins]
            registry = load_plugins(only=names).registry
        recommender = recommender_of(content, Workshop(registry, content.catalogue))
    except RecsmithError as error:
        raise ArtifactError(f"{path}: {error}") from error
    replay(recommender, content.golden, path / "golden.json")
    return content, recommender


def recommender_of(content: Content, workshop: Workshop) -> Recommender:
    """Build the members and what joins them."""
    members = tuple(restore(member, workshop) for member in content.members)
    choice = content.combination.combiner
    combiner = None if choice is None else workshop.build("combiners", choice)
    return Recommender(content.manifest, content.catalogue, Ensemble(members, combiner, content.combination.depth))
