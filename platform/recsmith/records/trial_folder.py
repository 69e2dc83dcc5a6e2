"""One trial's folder: its epochs, its checkpoint, its judged lists, its result. Plain data, whole at every instant."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recsmith.contracts.data import DoubleArray, FloatArray, IntArray, State
from recsmith.contracts.results import EpochReport, TrialResult
from recsmith.records.atomic import append_line, whole_lines, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

DISOWNED = "its driver died"  # the order to a run whose trial another driver has queued again
METRIC = "metric."  # prefix of the metrics among the arrays of validation.npz


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a trial continues from: the epoch that it finished, its model and its trainer (optimiser, schedule, RNG)."""

    epoch: int
    model: State
    trainer: State


@dataclass(frozen=True, eq=False)
class JudgedLists:
    """The validation lists of a trial, and every metric of each request; for ensembles and paired tests."""

    items: IntArray  # [B, K], ABSENT pads
    scores: FloatArray  # [B, K]
    metrics: Mapping[str, DoubleArray] = field(default_factory=dict)  # name -> [B]


class TrialFolder:
    """The folder of one root trial; retries of the trial continue in it."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    # --- epochs

    def append(self, report: EpochReport) -> None:
        """Add an epoch to `history.jsonl`; one that is already there is not added again."""
        known = self.history()
        if not known or report.epoch > known[-1].epoch:
            append_line(self.path / "history.jsonl", json.dumps(report.model_dump()))

    def history(self) -> list[EpochReport]:
        """The epochs so far, in order."""
        return [EpochReport.model_validate(json.loads(line)) for line in whole_lines(self.path / "history.jsonl")]

    # --- the result

    def write_result(self, result: TrialResult) -> None:
        """Say how the trial ended, in `result.json`."""
        write_whole(self.path / "result.json", json.dumps(result.model_dump()).encode())

    def result(self) -> TrialResult | None:
        """How the trial ended; None while it has not."""
        path = self.path / "result.json"
        return TrialResult.model_validate(json.loads(path.read_bytes())) if path.exists() else None

    # --- the checkpoint

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint: one safetensors file whose metadata holds the JSON values of both states."""
        from safetensors.numpy import save

        states = {"model": checkpoint.model, "trainer": checkpoint.trainer}
        arrays = {
            f"{owner}/{name}": np.asarray(array, order="C")
            for owner, state in states.items()
            for name, array in state.arrays.items()
        }
        values = {owner: dict(state.values) for owner, state in states.items()}
        metadata = {"epoch": str(checkpoint.epoch), "values": json.dumps(values)}
        write_whole(self.path / "checkpoint.safetensors", save(arrays, metadata))

    def checkpoint(self) -> Checkpoint | None:
        """The last whole checkpoint; None where there is none."""
        from safetensors import safe_open

        path = self.path / "checkpoint.safetensors"
        if not path.exists():
            return None
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        values = json.loads(metadata["values"])
        states = {
            owner: State(
                values[owner], {n.removeprefix(f"{owner}/"): a for n, a in arrays.items() if n.startswith(f"{owner}/")}
            )
            for owner in ("model", "trainer")
        }
        return Checkpoint(int(metadata["epoch"]), states["model"], states["trainer"])

    def drop_checkpoint(self) -> None:
        """Free the checkpoint's space once the trial has ended."""
        (self.path / "checkpoint.safetensors").unlink(missing_ok=True)

    # --- judged lists

    def write_lists(self, lists: JudgedLists) -> None:
        """Keep the validation lists and the metrics of each request, in `validation.npz`."""
        buffer = io.BytesIO()
        metrics = {METRIC + name: values for name, values in lists.metrics.items()}
        np.savez(buffer, allow_pickle=False, items=lists.items, scores=lists.scores, **metrics)
        write_whole(self.path / "validation.npz", buffer.getvalue())

    def lists(self) -> JudgedLists | None:
        """The validation lists; None where none are kept."""
        path = self.path / "validation.npz"
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            metrics = {n.removeprefix(METRIC): arrays[n] for n in arrays.files if n.startswith(METRIC)}
            return JudgedLists(arrays["items"], arrays["scores"], metrics)

    # --- orders from the driver

    def order_stop(self, number: int, reason: str) -> None:
        """Ask the process that runs the folder's trial under `number` to end it at its next report."""
        write_whole(self.path / f"stop-{number}", reason.encode())

    def stop_order(self, number: int) -> str | None:
        """Why the run under `number` shall stop; None while it may go on."""
        path = self.path / f"stop-{number}"
        return path.read_text() if path.exists() else None

    def silence(self, number: int) -> Path:
        """Where the watchdog of the run under `number` writes what the trial was doing when it fell silent."""
        return self.path / f"silent-{number}.txt"
