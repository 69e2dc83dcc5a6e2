"""Look-ups in the table of warm_start.py: how soon each way to begin finds what a plain search finds in 15 trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna

from recsmith.contracts.config import Choice
from recsmith.search.asha import Family
from recsmith.search.carry import carry
from recsmith.search.portfolio import Outcome, apart, nearness, portfolio
from recsmith.search.prior import model_order
from recsmith.search.sampler import tpe
from recsmith.search.searcher import default_trials
from recsmith.search.suggest import derive_seed, suggest
from recsmith.wiring.narrowing import domains_of
from recsmith.wiring.plugins import load_plugins
from recsmith.wiring.spaces import resolve_space, space_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recsmith.contracts.data import DoubleArray
    from recsmith.contracts.space import SearchSpace

SMALLEST = ("filmtrust", "ciao", "tiktok", "lastfm-hetrec2011", "ml-100k", "ml-latest-small-2016")
TRIALS = 15  # that are looked at, of a budget of 30
FIRST = 10  # of them are first trials at most: a third of the budget
SEEDS = 25
SHUFFLES = 2000
SHOWN = (1, 2, 3, 5, 8, 10, 15)
NEAR = 0.02  # of a score: less than the standard error of any of these figures
TWELVE = "memory of twelve"
WAYS = {
    "memory of five": "a portfolio of the other five, near ones counting more, then the defaults, then TPE",
    "five, all alike": "the same with every log counting the same",
    TWELVE: "as the first, with the seven larger logs remembered too",
    "empty memory": "the defaults in the order of the shipped prior, then TPE",
    "plain": "the defaults in the order of a study without memory, then TPE",
    "defaults only": "the same defaults and nothing after them",
    "random order": "the table in random order",
}


@dataclass(frozen=True)
class Table:
    """What is known of one log: each configuration's figure, and the log's meta-features."""

    outcomes: list[Outcome]
    features: Mapping[str, float]

    @property
    def values(self) -> DoubleArray:
        """The figures, [C]."""
        return np.array([outcome.value for outcome in self.outcomes], np.float64)


@dataclass(frozen=True)
class Ground:
    """The space of all logs, and their tables."""

    space: SearchSpace
    families: tuple[Family, ...]
    tables: Mapping[str, Table]


def ground(lines: Sequence[dict[str, Any]], models: Sequence[str]) -> Ground:
    """The tables that are whole, in the space of the models, which no log narrows."""
    registry = load_plugins().registry
    offers = frozenset({"timestamps", "order", "values", "small_catalogue"})
    nothing: dict[str, dict[str, Any]] = {"items": {}, "users": {}}
    document = space_document({"model": list(models)})
    space = resolve_space(registry, document, {}, scenario="next_item", capabilities=offers, columns=nothing)
    known = {line["log"]: line["meta_features"] for line in lines if "meta_features" in line}
    trials = sorted((line for line in lines if "number" in line), key=lambda line: line["number"])
    tables = {}
    for log, features in known.items():
        outcomes = [_outcome(line, space) for line in trials if line["log"] == log]
        tables[log] = Table(outcomes, features)
    most = max((len(table.outcomes) for table in tables.values()), default=0)
    return Ground(
        space,
        tuple(Family(name) for name in space.root.options),
        {log: table for log, table in tables.items() if len(table.outcomes) == most},
    )


def _outcome(line: dict[str, Any], space: SearchSpace) -> Outcome:
    carried = carry(space, Choice.model_validate(line["configuration"]))
    return Outcome(carried.point, carried.configuration.name, line["value"], line["seconds"])


def seeds(way: str, log: str, of: Ground) -> list[Outcome]:
    """What a way takes from the memory."""
    remembered = [name for name in (of.tables if way == TWELVE else SMALLEST) if name != log]
    weights = nearness(of.tables[log].features, [of.tables[name].features for name in remembered])
    if way == "five, all alike":
        weights = np.full(len(remembered), 1 / len(remembered))
    return portfolio(of.space, [of.tables[name].outcomes for name in remembered], weights, maximize=True)


def first_places(way: str, log: str, of: Ground) -> list[int]:
    """The rows of the table that a way tries first, FIRST at most."""
    order = () if way in {"plain", "defaults only"} else model_order()
    usual = [first.point for first in default_trials(of.space, of.families, order)]
    remembering = way not in {"plain", "defaults only", "empty memory"}
    points = [*(dict(seed.point) for seed in seeds(way, log, of) if remembering), *usual]
    rows = [dict(outcome.point) for outcome in of.tables[log].outcomes]
    return list(dict.fromkeys(rows.index(point) for point in points))[:FIRST]


def searched(first: Sequence[int], table: Table, space: SearchSpace, seed: int) -> list[int]:
    """The rows in the order of a search: the first ones, then the open rows nearest to what TPE proposes."""
    study = optuna.create_study(direction="maximize")
    domains, order = dict(domains_of(space.root)), list[int]()
    while len(order) < TRIALS:
        study.sampler = tpe(derive_seed(seed, len(order)))
        if len(order) < len(first):
            place = first[len(order)]
        else:
            asked = study.ask()
            suggest(space, asked)
            study.tell(asked, state=optuna.trial.TrialState.FAIL)  # the sampler does not look at failed ones
            place = _nearest(asked.params, table, order, domains)
        study.enqueue_trial(dict(table.outcomes[place].point))
        trial = study.ask()
        suggest(space, trial)
        study.tell(trial, table.outcomes[place].value)
        order.append(place)
    return order


def _nearest(point: Mapping[str, Any], table: Table, tried: Sequence[int], domains: Mapping[str, Any]) -> int:
    left = [place for place in range(len(table.outcomes)) if place not in tried]
    same = [place for place in left if table.outcomes[place].model == point["model"]] or left
    return min(same, key=lambda place: apart(point, table.outcomes[place].point, domains))


def curves(log: str, of: Ground) -> dict[str, DoubleArray]:
    """The best figure so far after each trial, by way: [seeds or shuffles, TRIALS]."""
    table, found = of.tables[log], {}
    for way in WAYS:
        if way == "random order":
            draw = np.random.default_rng(0)
            orders = [draw.permutation(len(table.outcomes))[:TRIALS] for _ in range(SHUFFLES)]
        elif way == "defaults only":
            places = first_places(way, log, of)
            orders = [np.array(places + places[-1:] * (TRIALS - len(places)))]
        else:
            orders = [np.array(searched(first_places(way, log, of), table, of.space, seed)) for seed in range(SEEDS)]
        found[way] = np.maximum.accumulate(table.values[np.array(orders)], axis=1)
    return found


def until(curve: DoubleArray, target: float) -> float:
    """The first trial, from 1, at which a curve has reached the target; infinite where it never does."""
    there = np.flatnonzero(curve >= target)
    return float(there[0] + 1) if len(there) else math.inf


def page(lines: Sequence[dict[str, Any]], models: Sequence[str]) -> str:
    """The page, from the table alone."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    of = ground(lines, models)
    by_log = {log: curves(log, of) for log in SMALLEST}
    return "\n\n".join([_head(of), _soonness(by_log), _regret(by_log, of), _groups(of), _first(of)]) + "\n"


def _head(of: Ground) -> str:
    seconds = {log: sum(outcome.seconds for outcome in table.outcomes) for log, table in of.tables.items()}
    ours = sum(seconds[log] for log in SMALLEST)
    larger = sum(seconds.values()) - ours
    rows = len(of.tables[SMALLEST[0]].outcomes)
    ways = "\n".join(f"* **{name}**: {what}" for name, what in WAYS.items())
    return f"""# Warm starts

`python benchmarks/warm_start.py PATH` evaluates {rows} configurations (the defaults of ten closed-form models, and
three random points of each) once on each of the six smallest logs, {ours:.0f} s on one thread, and on seven larger
ones, {larger:.0f} s. The rest is look-ups: `--page-only` makes this page from the table, without a log. Figures are
NDCG@10 on validation, as a study sees it; items of few interactions are left aside. Each of the six is the new log in
turn, and is not among what is remembered. A budget is one of 30 trials, so {FIRST} are first trials at most. What TPE
proposes becomes the nearest row of its model that is still open; {SEEDS} seeds.

{ways}

Two things were decided by leaving out each of the larger logs in turn: landmarks weigh as much as all other
meta-features together, and after the portfolio come defaults, not each model's best remembered configuration. Both had
been seen on the six as well, so these are not figures of logs that nobody had looked at."""


def _soonness(by_log: Mapping[str, Mapping[str, DoubleArray]]) -> str:
    """Trials to what plain and random order have at the end."""
    ways = [way for way in WAYS if way != "random order"]
    heads = f"| {' | '.join(ways)} |"
    per_log = {log: [_trials(found, way, 0.0) for way in ways] for log, found in by_log.items()}
    near = [[_trials(found, way, NEAR) for way in ways] for found in by_log.values()]
    random = [[_trials(found, way, 0.0, "random order") for way in ways] for found in by_log.values()]
    targets = {
        f"plain at {TRIALS}": list(per_log.values()),
        f"within {NEAR:.0%} of it": near,
        f"random order at {TRIALS}": random,
    }
    first = [
        f"| {log} | {np.median(by_log[log]['plain'][:, -1]):.4f} | {' | '.join(map(_count, row))} |"
        for log, row in per_log.items()
    ]
    second = [
        f"| {target} | {' | '.join(_count(float(np.median(column))) for column in zip(*rows, strict=True))} |"
        for target, rows in targets.items()
    ]
    return "\n".join(
        [
            f"## Trials to the score that the plain search has at trial {TRIALS}",
            "",
            f'Medians over seeds; "never": not within {TRIALS} trials; "plain": when the plain search was there.',
            "",
            f"| log | its score {heads}",
            "|---|---|" + "---|" * len(ways),
            *first,
            "",
            "The median over the six logs, for three targets:",
            "",
            f"| to {heads}",
            "|---|" + "---|" * len(ways),
            *second,
        ]
    )


def _trials(found: Mapping[str, DoubleArray], way: str, slack: float, goal: str = "plain") -> float:
    """The median number of trials of a way to a goal's score at the end, seed by seed where both have seeds."""
    ends = found[goal][:, -1] * (1 - slack)
    if goal == "random order":
        ends = np.full(len(found[way]), np.median(ends))
    return float(np.median([until(curve, end) for curve, end in zip(_as_many(found[way], ends), ends, strict=True)]))


def _as_many(ways: DoubleArray, ends: DoubleArray) -> DoubleArray:
    """The one curve of a way without seeds, once for each of the ends."""
    return np.broadcast_to(ways, (len(ends), TRIALS))


def _count(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:g}"


def _regret(by_log: Mapping[str, Mapping[str, DoubleArray]], of: Ground) -> str:
    """How far the best so far is behind the best of the table, in percent of it: means over logs and seeds."""
    lines = [f"| way | {' | '.join(f'{k}' for k in SHOWN)} |", "|---|" + "---|" * len(SHOWN)]
    for way in WAYS:
        shares = [found[way].mean(0) / of.tables[log].values.max() for log, found in by_log.items()]
        lines.append(f"| {way} | {' | '.join(f'{100 - 100 * np.mean(shares, axis=0)[k - 1]:.1f}' for k in SHOWN)} |")
    head = "How far the best so far is behind the best of the table after so many trials, in percent: means over logs."
    return "\n".join(["## Regret", "", head, "", *lines])


def _groups(of: Ground) -> str:
    """The first trials alone, on the six and on the larger ones."""
    lines = ["| way | six smallest | seven larger |", "|---|---|---|"]
    larger = [log for log in of.tables if log not in SMALLEST]
    for way in (TWELVE, "empty memory", "plain"):
        behind = [
            np.mean([_behind(of.tables[log].values, first_places(way, log, of)) for log in logs])
            for logs in (SMALLEST, larger)
        ]
        lines.append(f"| {way} | {' | '.join(f'{100 * value:.1f}' for value in behind)} |")
    head = "The mean regret over the first ten trials, in percent; each log is left out of the thirteen in turn."
    return "\n".join([head, "", *lines])


def _behind(values: DoubleArray, places: Sequence[int]) -> float:
    best = np.maximum.accumulate(values[list(places)])
    return float(np.mean(1 - best / values.max()))


def _first(of: Ground) -> str:
    """What a memory of twelve says to each log."""
    lines = ["| log | nearest | first trials, and their figure as a share of the table's best |", "|---|---|---|"]
    for log in SMALLEST:
        table = of.tables[log]
        others = [name for name in of.tables if name != log]
        weights = nearness(table.features, [of.tables[name].features for name in others])
        near = ", ".join(f"{others[place]} {weights[place]:.0%}" for place in np.argsort(-weights)[:2])
        rows = {tuple(sorted(outcome.point.items())): outcome.value for outcome in table.outcomes}
        said = [(seed.model, rows[tuple(sorted(seed.point.items()))]) for seed in seeds("memory of twelve", log, of)]
        shares = ", ".join(
            f"{model} {value / table.values.max():.2f}" for model, value in said[:5] if value is not None
        )
        lines.append(f"| {log} | {near} | {shares} |")
    return "\n".join(["## What a memory of twelve tries first", "", *lines])
