"""Plans: the frozen descriptions from which a study and each of its trials run."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from recsmith.contracts.config import Choice
from recsmith.contracts.data import Role

Scenario = Literal["next_item", "rating", "cold_user", "cold_item", "both_cold", "cross_domain", "streaming"]


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(value: object) -> object:
    """Seconds from `90`, `90s`, `10m`, `1.5h` or `2d`; anything else is left for the validation to refuse.

    Raises:
        ValueError: a text that is no duration.
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", value)
    if match is None:
        msg = f"{value!r} is no duration: write for example 90s, 10m or 1.5h"
        raise ValueError(msg)
    return float(match[1]) * _UNITS[match[2] or "s"]


Seconds = Annotated[float, Field(gt=0), BeforeValidator(duration)]


def named(value: object) -> object:
    """A choice in short: a bare name, or `{name: …}` with the parameters beside the name instead of under `params`."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and "name" in value and "params" not in value:
        return {"name": value["name"], "params": {key: param for key, param in value.items() if key != "name"}}
    return value


def by_name(value: object) -> object:
    """An engine by its name alone."""
    return {"name": value} if isinstance(value, str) else value


class Part(BaseModel):
    """A closed, frozen piece of a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Columns(Part):
    """Which column is what; a name left out is guessed from the common spellings."""

    user: str | None = None
    item: str | None = None
    timestamp: str | None = None  # "none" (any case) ignores a timestamp column that is there
    value: str | None = None  # a rating or a count; "none" ignores it
    event: str | None = None  # event type
    domain: str | None = None  # of the item: a column of the log or of the item table; "none" ignores it
    event_weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    items: dict[str, Role] = Field(default_factory=dict)  # roles of item columns
    users: dict[str, Role] = Field(default_factory=dict)  # roles of user columns
    context: dict[str, Role] = Field(default_factory=dict)  # roles of context columns on interactions


class Filter(Part):
    """Which interactions are used at all; repeated until nothing more is left out."""

    min_user_interactions: Annotated[int, Field(ge=1)] = 1
    min_item_interactions: Annotated[int, Field(ge=1)] = 1
    min_value: float | None = None  # drop interactions of a lower value


Order = Literal["time", "rows", "none"]


class Reading(Part):
    """How a log was understood, with nothing left to guess, so that later rows are read alike."""

    columns: Columns = Columns()
    min_value: float | None = None  # interactions of a lower value were dropped
    order: Order | None = None


class DataPlan(Part):
    """Where the log is and how it is read."""

    source: str  # a file or a folder; "<dataframe>" for a table handed over from Python
    reader: str | None = None  # by name; found from the source otherwise
    columns: Columns = Columns()
    filter: Filter = Filter()
    order: Order | None = None  # None: time where there are timestamps


USUAL_MEMORY = "default"  # the memory of the user, wherever the platform keeps such
USUAL_TRIALS = 30  # where a budget names neither trials nor time


class Budget(Part):
    """When the search ends: whichever comes first. Neither given: 30 trials."""

    trials: Annotated[int, Field(ge=1)] | None = None  # complete + pruned + failed by their own fault
    time: Seconds | None = None  # of running time in all, refit included

    @property
    def most_trials(self) -> int | None:
        """The limit of trials; None where only the time counts."""
        return USUAL_TRIALS if self.trials is None and self.time is None else self.trials


class Engine(Part):
    """Who runs the trials, and with how much of the machine."""

    name: Literal["ray", "inline"] = "ray"
    address: str | None = None  # None: a local Ray; "auto" or a Ray address: that cluster
    cpus_per_trial: Annotated[float, Field(gt=0)] = 1.0
    gpus_per_trial: Annotated[float, Field(ge=0)] = 0.0  # fractions allowed
    max_concurrent: Annotated[int, Field(ge=1)] | None = None  # None: as many as fit
    trial_timeout: Seconds = 1800.0  # without a report before a trial is ended
    cache_bytes: Annotated[int, Field(gt=0)] = 10 * 10**9  # of encoded features on disk


class Plan(Part):
    """Everything that a study does. Only the data is required."""

    name: str = "study"
    data: DataPlan
    scenario: Scenario = "next_item"
    split: Annotated[Choice | None, BeforeValidator(named)] = None  # None: the scenario's usual one
    objective: str | None = None  # None: "ndcg@10" to rank, "mae" for ratings
    metrics: tuple[str, ...] = ()  # more figures to report; none: the usual ones
    mask_seen: bool = True  # false for repeat consumption
    space: str | dict[str, Any] = "default"  # a name in search_spaces/, a file, or the YAML's content
    overrides: dict[str, Any] = Field(default_factory=dict)  # what `--set` gave for the space
    budget: Budget = Budget()
    engine: Annotated[Engine, BeforeValidator(by_name)] = Engine()
    storage: str | None = None  # None: SQLite in the study folder; "env:NAME": a URL in that variable
    memory: str | None = None  # of other studies: a folder, or "default" for the user's; None: neither read nor written
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    plugins: tuple[str, ...] | None = None  # only these entry points; None: all that are installed
    without: tuple[str, ...] = ()  # never these

    @property
    def aim(self) -> str:
        """The objective, or the scenario's usual one."""
        return self.objective or ("mae" if self.scenario == "rating" else "ndcg@10")


class TrialPlan(Part):
    """One trial as plain data: it is the same in this process and in a worker."""

    number: int  # in the study
    root: int  # the number under which the trial was first asked for; its folder and seed follow from it
    folder: str  # absolute; holds history.jsonl, checkpoint/ and result.json
    configuration: Choice  # the model and all its parameters
    seed: int
    scenario: Scenario
    objective: str  # with its cut-off
    metrics: tuple[str, ...]  # the objective among them
    mask_seen: bool = True
    device: str = "cpu"
    cache: str | None = None  # absolute folder of the feature cache
    cache_bytes: int = 10 * 10**9
    plugins: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    deadline: float | None = None  # time.time() after which no further epoch starts
    epochs: int | None = None  # a refit: exactly so many, judged by nobody
    factors: tuple[tuple[float, ...], ...] | None = None  # a refit: recorded learning-rate factors, epoch by epoch
