"""Score a CSV of recommendations against the last interaction of each user, with nothing but the standard library.

    recsmith recommend STUDY/artifact --all-users -k 10 --format csv > recommendations.csv
    python benchmarks/score_last_interaction.py LOG.csv[.gz] recommendations.csv

The last interaction is that of the latest timestamp; of equal timestamps, that of the later row. Users with fewer than
three interactions are not judged. Prints NDCG@10 and hit rate@10 as JSON. It shares no line with the package that it
checks.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import sys
from collections import defaultdict
from pathlib import Path

FEWEST = 3
K = 10


def last_items(log: Path) -> dict[str, str]:
    """The last item of every user of at least three interactions."""
    open_text = gzip.open if log.suffix == ".gz" else open
    events = defaultdict(list)
    with open_text(log, "rt", encoding="utf-8", newline="") as file:
        for row, record in enumerate(csv.DictReader(file)):
            events[record["user_id"]].append((int(record["timestamp"]), row, record["item_id"]))
    return {user: max(rows)[2] for user, rows in events.items() if len(rows) >= FEWEST}


def ranks(recommendations: Path) -> dict[tuple[str, str], int]:
    """The rank of every recommended (user, item)."""
    with recommendations.open(newline="") as file:
        return {(row["user_id"], row["item_id"]): int(row["rank"]) for row in csv.DictReader(file)}


def main() -> None:
    """Print the figures."""
    targets, ranked = last_items(Path(sys.argv[1])), ranks(Path(sys.argv[2]))
    hits = [ranked[pair] for pair in targets.items() if ranked.get(pair, K + 1) <= K]
    gains = math.fsum(1.0 / math.log2(rank + 1) for rank in hits)
    figures = {"users": len(targets), "ndcg@10": gains / len(targets), "hit_rate@10": len(hits) / len(targets)}
    json.dump(figures, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
