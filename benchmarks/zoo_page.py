"""The page of the zoo's figures, made from its record."""

from __future__ import annotations

from typing import Any

Entry = dict[str, Any]

HEAD = """# The model zoo on real logs

Made by `python benchmarks/zoo.py PATH` from [zoo.jsonl](zoo.jsonl), where each line says with how many minutes it was
run; one thread, a shared machine of 2 cores, no GPU. A model learns on train, its epochs are chosen on valid, it learns
again on both and is judged on test, whole catalogue. Intervals are 95 % bootstraps over users. *Fit* and *top 10* are
seconds, of the second learning and of ranking ten items for every request of the test; *memory* is the most that the
process took beyond what it held before, in the larger of both learnings, and *stated* the model's own bound. **Cut**:
the time was up before its own end, so the figure is that of too few epochs or trials. Nothing was tuned on these tests:
defaults come from validation on ml-100k and ml-1m (those of iALS on all of these logs, of item-kNN on all but ml-1m),
searches from validation.
"""

ANCHORS = {
    "ml-1m": "Published, leave-last-out, after tens to hundreds of epochs on GPUs: SASRec with cross-entropy .182 "
    "(.162 with a stable sort), eSASRec .177, HSTU .172, BERT4Rec .154, SASRec with one negative .134. Measured with "
    "other libraries on this protocol: EASE .054, ALS .049, item-kNN .033 to .040, popularity .018.",
    "ml-100k": "Measured with other libraries on this protocol: EASE .071 to .074, item-kNN .063, popularity .040, "
    "SASRec after 10 epochs .045.",
    "amazon-beauty": "Published, leave-last-out: eSASRec .0523, HSTU .0439, TIGER .0384.",
    "ml-1m 8:1:1": "Random 8:1:1 of each user's interactions with a rating of 3 or more. Published: LightGCN .2538, "
    "BPR .2401, NeuMF .2271. EASE weighs the latest interactions most by default, and here what is held out is not the "
    "next one.",
    "foursquare-nyc": "Seen items stay in the lists (`mask_seen: false`): most check-ins are returns.",
    "ml-100k ratings": "Documented by Surprise for five folds of a random split, which is easier: SVD .737 and .934, "
    "SVD++ .722 and .920, kNN with baselines .733 and .931 (MAE and RMSE).",
}


def page(record: dict[str, Entry]) -> str:
    """The whole page in Markdown."""
    by_log: dict[str, list[tuple[str, int, Entry]]] = {}
    for key, entry in record.items():
        log, model, trials = key.rsplit("/", 2)
        by_log.setdefault(log, []).append((model, int(trials), entry))
    return "\n".join([HEAD, *(section for log, rows in by_log.items() for section in _sections(log, rows))])


def _sections(log: str, rows: list[tuple[str, int, Entry]]) -> list[str]:
    """The table at defaults, that after a search where there is one, and who is not in them."""
    parts = [f"## {log}\n"]
    if log in ANCHORS:
        parts.append(ANCHORS[log] + "\n")
    searched = [row for row in rows if row[1] > 1]
    parts += _table([row for row in rows if row[1] == 1])
    if searched:
        parts += [f"After {searched[0][1]} trials of that model alone:\n", *_table(searched)]
    return parts


def _table(rows: list[tuple[str, int, Entry]]) -> list[str]:
    measured = [(model, entry) for model, _, entry in rows if "figures" in entry]
    failed = [f"`{model}`: {entry['failed']}" for model, _, entry in rows if "failed" in entry]
    lines = []
    if measured:
        names = list(measured[0][1]["figures"])
        lower = names[0] in ("mae", "rmse")
        measured.sort(key=lambda row: row[1]["figures"][names[0]][0] * (1 if lower else -1))
        titles = ["model", *names, "epochs", "fit", "top 10", "memory, MB", "stated, MB", ""]
        lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
        lines += [_line(model, entry) for model, entry in measured]
    return [*lines, "", *([f"Without a figure: {'; '.join(failed)}.\n"] if failed else [])]


def _line(model: str, entry: Entry) -> str:
    figures = [f"{_short(value)} ({_short(low)} to {_short(high)})" for value, low, high in entry["figures"].values()]
    memory, stated = ("" if size is None else f"{size / 1e6:,.0f}" for size in (entry["memory"], entry["stated"]))
    cells = [
        f"`{model}`",
        *figures,
        str(entry["epochs"]),
        f"{entry['fit']:.2f}",
        f"{entry['recommend']:.2f}",
        memory,
        stated,
        "**cut**" if entry["cut"] else "",
    ]
    return f"| {' | '.join(cells)} |"


def _short(value: float) -> str:
    """Four digits without a leading zero."""
    return f"{value:.4f}".removeprefix("0")
