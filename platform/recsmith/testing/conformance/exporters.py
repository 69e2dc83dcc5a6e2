"""What every exporter promises."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from recsmith.artifacts.export import export_artifact
from recsmith.artifacts.save import ArtifactFacts, Member, save_artifact
from recsmith.contracts.config import Choice
from recsmith.contracts.errors import ArtifactError
from recsmith.testing.conformance.attempt import attempt
from recsmith.testing.conformance.subject import NotApplicableError, Violation, expect
from recsmith.testing.logs import popular_fold

if TYPE_CHECKING:
    from pathlib import Path

    from recsmith.contracts.plugins import ModelSpec
    from recsmith.testing.conformance.subject import Subject

    Content = dict[str, bytes | None]  # of files; None for a folder

USUAL = frozenset({"timestamps", "order", "small_catalogue"})  # what the small log offers
COSTS = ("seconds", "minutes", "hours")


def artifact_is_written_to_the_destination(subject: Subject) -> None:
    """It writes to the destination, returns it, and leaves nothing beside it; a folder or tar is the whole artifact."""
    artifact, place = _artifact(subject), _place(subject)
    with attempt("exporting an artifact"):
        written = export_artifact(artifact, place / "out", subject.choice(), subject.registry)
    expect(written == place / "out", f"asked to write to {place / 'out'}, it returned {written}")
    names = sorted(path.name for path in place.iterdir())
    expect(names == ["out"], f"beside the destination 'out' there is {[name for name in names if name != 'out']}")
    size = sum(len(data or b"") for data in _content(place).values())
    expect(size > 0, "what it wrote is empty")


def artifact_is_left_as_it_was(subject: Subject) -> None:
    """The artifact that it exports stays as it is, byte for byte."""
    artifact, place = _artifact(subject), _place(subject)
    before = _content(artifact)
    _built(subject).export(artifact, place / "out")
    _expect_same(before, _content(artifact), "of the artifact")


def occupied_place_is_refused(subject: Subject) -> None:
    """A destination where something stands is refused by an ArtifactError and stays as it is."""
    artifact, place = _artifact(subject), _place(subject)
    (place / "file").write_text("mine")
    (place / "folder").mkdir()
    (place / "folder" / "file").write_text("mine")
    (place / "empty folder").mkdir()
    before = _content(place)
    for name in ("file", "folder", "empty folder"):
        with attempt(f"exporting to a place where an {name} stands"):
            try:
                _built(subject).export(artifact, place / name)
            except ArtifactError as error:
                expect(name in str(error), f"the error does not name the place {place / name}: {error}")
            else:
                raise Violation(f"where the {name} stands it exported all the same: raise ArtifactError")
    _expect_same(before, _content(place), "of what stood at the destination")


def failed_export_leaves_nothing(subject: Subject) -> None:
    """Where the artifact cannot be read to its end, or the place cannot be written to, it raises and leaves nothing."""
    artifact, place = _artifact(subject), _place(subject)
    (place / "file").write_text("mine")
    before = _content(place)
    _expect_failure(subject, artifact, place / "file" / "out", "the destination's folder is a file")
    _expect_same(before, _content(place), "beside a destination that could not be written")
    shutil.rmtree(artifact / "members")
    _expect_failure(subject, artifact, place / "out", "the artifact has lost its members")
    _expect_same(before, _content(place), "beside the destination of an export that failed")


def equal_artifacts_give_equal_exports(subject: Subject) -> None:
    """The same artifact exported twice, from two places and at two moments, gives equal bytes."""
    artifact, place = _artifact(subject), _place(subject)
    copy = shutil.copytree(artifact, subject.folder / "elsewhere", copy_function=shutil.copyfile)
    first = _built(subject).export(artifact, place / "one")
    second = _built(subject).export(copy, place / "two")
    expect(first.is_dir() == second.is_dir(), "the first export is a folder and the second is none, or the reverse")
    _expect_same(_content(first), _content(second), "of a second export")


def every_corner_exports(subject: Subject) -> None:
    """Every corner of its search space exports."""
    artifact, place = _artifact(subject), _place(subject)
    for number, (label, choice) in enumerate(subject.corners()):
        with attempt(label):
            written = _built(subject, choice).export(artifact, place / str(number))
            expect(written.exists(), f"{label}: it returned {written}, which is not there")


CHECKS = (
    artifact_is_written_to_the_destination,
    artifact_is_left_as_it_was,
    occupied_place_is_refused,
    failed_export_leaves_nothing,
    equal_artifacts_give_equal_exports,
    every_corner_exports,
)


# --- the work ---------------------------------------------------------------------------------------------------------


def _artifact(subject: Subject) -> Path:
    """A small artifact of the cheapest closed-form model there is."""
    fold = popular_fold(users=20, items=15, length=5)
    spec = _cheapest(subject)
    choice = Choice(name=spec.name)
    context = subject.registry.context(item_counts=fold.train.counts, users=fold.train.users)
    model = subject.registry.build("models", choice, context)
    model.fit(fold.train)
    facts = ArtifactFacts(
        study="conformance",
        objective="ndcg@10",
        metrics={},
        split="leave_last",
        split_hash=fold.split_hash,
        data_fingerprint="0" * 64,
    )
    place = subject.folder / "artifact"
    return save_artifact(place, [Member(choice, model.state())], fold, subject.registry, facts=facts)


def _cheapest(subject: Subject) -> ModelSpec:
    specs: list[ModelSpec] = [subject.registry.spec("models", name) for name in subject.registry.specs["models"]]
    fitting = [
        spec for spec in specs if spec.training == "closed_form" and spec.needs <= USUAL and "ranking" in spec.offers
    ]
    if not fitting:
        raise NotApplicableError("no closed-form model is installed of which an artifact could be made")
    return min(fitting, key=lambda spec: (spec.name != "popularity", COSTS.index(spec.cost), spec.name))


def _place(subject: Subject) -> Path:
    place = subject.folder / "place"
    place.mkdir()
    return place


def _built(subject: Subject, choice: Choice | None = None) -> Any:
    return subject.registry.build("exporters", choice or subject.choice(), subject.registry.context())


def _expect_failure(subject: Subject, artifact: Path, destination: Path, why: str) -> None:
    """See that an export raises; what it raises is its own business."""
    try:
        written = _built(subject).export(artifact, destination)
    except Exception:  # noqa: BLE001 - whatever it is, it is no silent success
        return
    raise Violation(f"where {why} it raised nothing and returned {written}")


def _content(path: Path) -> Content:
    """What a file or folder holds, hidden files too."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {
        str(each.relative_to(path)): each.read_bytes() if each.is_file() else None for each in sorted(path.rglob("*"))
    }


def _expect_same(before: Content, after: Content, what: str) -> None:
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name, b"-") != after.get(name, b"-"))
    expect(not changed, f"{len(changed)} files {what} differ: {', '.join(changed[:3])}")
