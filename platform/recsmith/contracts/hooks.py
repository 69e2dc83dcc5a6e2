"""What can be extended: every hook of the system.

Providers return specs; they are pure and called once, when plugins are loaded. Observers hear what happens, return
nothing, and can never stop a study. Nothing depends on the order of calls; a name offered twice is an error.

A plugin is a module (or any object) with functions of these names under `@hookimpl`, reachable through an entry point
of the group `recsmith`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from recsmith.contracts.plan import Plan
    from recsmith.contracts.plugins import (
        CombinerSpec,
        EncoderSpec,
        ExporterSpec,
        FuserSpec,
        MetaLearnerSpec,
        MetricSpec,
        ModelSpec,
        PartSpec,
        ReaderSpec,
        SplitterSpec,
    )
    from recsmith.contracts.results import EpochReport, StudyResult, TrialResult

ENTRY_POINT_GROUP = "recsmith"

hookspec = pluggy.HookspecMarker("recsmith")
hookimpl = pluggy.HookimplMarker("recsmith")


# --- providers --------------------------------------------------------------------------------------------------------


@hookspec
def provide_readers() -> Sequence[ReaderSpec]:  # type: ignore[empty-body]
    """Sources of interaction logs."""


@hookspec
def provide_splitters() -> Sequence[SplitterSpec]:  # type: ignore[empty-body]
    """Ways to divide a log into training, validation and test."""


@hookspec
def provide_encoders() -> Sequence[EncoderSpec]:  # type: ignore[empty-body]
    """Ways to turn one column into features."""


@hookspec
def provide_fusers() -> Sequence[FuserSpec]:  # type: ignore[empty-body]
    """Ways to join the features of several columns."""


@hookspec
def provide_models() -> Sequence[ModelSpec]:  # type: ignore[empty-body]
    """Recommenders."""


@hookspec
def provide_blocks() -> Sequence[PartSpec]:  # type: ignore[empty-body]
    """Layers that a searched architecture is made of."""


@hookspec
def provide_samplers() -> Sequence[PartSpec]:  # type: ignore[empty-body]
    """Ways to draw negatives."""


@hookspec
def provide_task_samplers() -> Sequence[PartSpec]:  # type: ignore[empty-body]
    """Ways to draw tasks for a meta-learner."""


@hookspec
def provide_losses() -> Sequence[PartSpec]:  # type: ignore[empty-body]
    """What gradient training minimises."""


@hookspec
def provide_schedules() -> Sequence[PartSpec]:  # type: ignore[empty-body]
    """Learning-rate schedules."""


@hookspec
def provide_meta_learners() -> Sequence[MetaLearnerSpec]:  # type: ignore[empty-body]
    """Ways to adapt a model to one user from few interactions."""


@hookspec
def provide_metrics() -> Sequence[MetricSpec]:  # type: ignore[empty-body]
    """Ways to judge ranked lists or ratings."""


@hookspec
def provide_combiners() -> Sequence[CombinerSpec]:  # type: ignore[empty-body]
    """Ways to join several ranked lists."""


@hookspec
def provide_exporters() -> Sequence[ExporterSpec]:  # type: ignore[empty-body]
    """Shapes in which an artifact leaves the system."""


# --- observers --------------------------------------------------------------------------------------------------------


@hookspec
def study_started(plan: Plan) -> None:
    """A driver begins or resumes a study."""


@hookspec
def epoch_finished(trial: int, report: EpochReport) -> None:
    """A trial reported an epoch; called in the process that drives the study."""


@hookspec
def trial_finished(result: TrialResult) -> None:
    """A trial ended and stands in the record."""


@hookspec
def study_finished(result: StudyResult) -> None:
    """The study ended with its artifact saved."""


@hookspec
def artifact_saved(path: Path, manifest: dict[str, object]) -> None:
    """An artifact was written and verified."""
