"""The page of `cold_start.py`: figures by k, and paired differences at k = 5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLOSED = {"rating": ("user_offset", "ridge_fold_in", "biased_mf"), "ranking": ("popularity", "ridge_fold_in", "ials")}
LOWER_IS_BETTER = {"mae", "rmse"}
QUARTERS = (0.25, 0.5, 0.75)
NAMES = {"rating": "mae", "ranking": "ndcg@10"}


def page(
    known: Mapping[str, dict[str, Any]],
    shots: Sequence[int],
    learners: Sequence[str],
    baselines: Mapping[str, Sequence[str]],
) -> str:
    """Markdown of all that is recorded."""
    parts = [
        "# New users",
        (
            "`python benchmarks/cold_start.py PATH` makes this page; its help says how users, shots, settings and "
            "epochs are chosen. k interactions of a new user are known, k = 0 is the model before it adapts. Means "
            "over seeds; in brackets the spread over seeds (the largest less the least)."
        ),
    ]
    done = [entry for entry in known.values() if "figures" in entry]
    for log, population, task in sorted({(entry["log"], entry["population"], entry["task"]) for entry in done}):
        names = {"random": "", "latest": ", the users who came last"}
        entries = [
            entry for entry in done if (entry["log"], entry["population"], entry["task"]) == (log, population, task)
        ]
        parts.append(f"## {log}{names[population]}: {NAMES[task].upper()}")
        parts += _tables(task, entries, shots, (*baselines[task], *learners))
    return "\n\n".join(parts) + "\n"


def _tables(task: str, entries: list[dict[str, Any]], shots: Sequence[int], methods: Sequence[str]) -> list[str]:
    """The tables of one log, population and task."""
    metric = NAMES[task]
    by_method = {name: [entry for entry in entries if entry["method"] == name] for name in methods}
    by_method = {name: rows for name, rows in by_method.items() if rows}
    head = f"| method | seeds | {' | '.join(f'k = {k}' for k in shots)} | fit s | ms a user |"
    lines = [head, "|---" * (len(shots) + 4) + "|"]
    for name, rows in by_method.items():
        values = np.array([[row["figures"][metric][str(k)] for k in shots] for row in rows])
        cells = [
            f"{mean:.4f} ({spread:.4f})"
            for mean, spread in zip(values.mean(axis=0), np.ptp(values, axis=0), strict=True)
        ]
        fit, speed = (np.mean([row[what] for row in rows]) for what in ("fit", "milliseconds"))
        cut = " (cut)" if any(row["cut"] for row in rows) else ""
        lines.append(f"| `{name}`{cut} | {len(rows)} | {' | '.join(cells)} | {fit:.1f} | {speed:.2f} |")
    rivals = [name for name in CLOSED[task] if name in by_method]
    parts = ["\n".join(lines)]
    if rivals:
        parts += ["Paired differences at k = 5 over the users and seeds that both have, 95 % bootstrap intervals:"]
        parts += [_differences(by_method, rivals)]
        best = _best(by_method, metric, set(rivals))
        parts += [
            "At k = 5 by quarters of the users, from the least to the most:",
            _strata({name: by_method[name] for name in (best, *rivals)}),
        ]
    return parts


def _best(by_method: Mapping[str, list[dict[str, Any]]], metric: str, rivals: set[str]) -> str:
    """The method that is best at k = 5, the closed forms left out where there is another."""
    sign = 1 if metric in LOWER_IS_BETTER else -1
    among = [name for name in by_method if name not in rivals] or list(by_method)
    return min(among, key=lambda name: sign * np.mean([row["figures"][metric]["5"] for row in by_method[name]]))


def _strata(by_method: Mapping[str, list[dict[str, Any]]]) -> str:
    """The means of each quarter of the users, by every trait."""
    some = next(iter(by_method.values()))[0]["traits"]
    lines = [
        f"| users by | quarter | {' | '.join(f'`{name}`' for name in by_method)} |",
        "|---" * (len(by_method) + 2) + "|",
    ]
    for trait in some:
        values = [value for row in next(iter(by_method.values())) for value in row["traits"][trait]]
        edges = np.quantile(values, QUARTERS)
        for quarter in range(len(QUARTERS) + 1):
            cells = []
            for rows in by_method.values():
                users = np.concatenate([row["users"] for row in rows])
                of = np.searchsorted(edges, np.concatenate([row["traits"][trait] for row in rows]), side="left")
                chosen = users[of == quarter]
                cells.append(f"{chosen.mean():.4f}" if len(chosen) else "")
            lines.append(f"| {trait} | {quarter + 1} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _differences(by_method: Mapping[str, list[dict[str, Any]]], rivals: Sequence[str]) -> str:
    head = f"| method | {' | '.join(f'less `{name}`' for name in rivals)} |"
    lines = [head, "|---" * (len(rivals) + 1) + "|"]
    for name, rows in by_method.items():
        cells = [_difference(rows, by_method[rival]) if rival != name else "" for rival in rivals]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _difference(rows: list[dict[str, Any]], rivals: list[dict[str, Any]]) -> str:
    """Mean and interval of the paired differences; users of all seeds are drawn together."""
    others = {row["seed"]: np.array(row["users"]) for row in rivals}
    pairs = [np.array(row["users"]) - others[row["seed"]] for row in rows if row["seed"] in others]
    if not pairs:
        return ""
    differences = np.concatenate(pairs)
    rng = np.random.default_rng(0)
    means = differences[rng.integers(len(differences), size=(2000, len(differences)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{differences.mean():+.4f} ({low:+.4f} to {high:+.4f})"
