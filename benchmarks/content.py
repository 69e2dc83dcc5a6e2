"""Does content help? Studies on real logs, and paired tests of what they end with.

    python benchmarks/content.py DATA [--logs ml-1m lastfm citeulike tiktok] [--parts cold warm]

DATA is a folder with the logs, each in a folder of its own. For every log a study searches each family of models on
validation, its best is learnt again and judged on the test that no search has seen, and families are compared request
by request: mean difference of NDCG@10 with its 95 % interval and the p-value of a sign-flip test.

cold: 20 % of the items are new in test (10 % in validation), lists hold new items only.
warm: the last interaction of each user, or one at random where there is no order; tiktok: the published split.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recsmith.contracts.config import Choice
from recsmith.contracts.plan import Budget, Columns, DataPlan, Engine, Plan
from recsmith.contracts.plugins import RawTables
from recsmith.contracts.results import TrialResult
from recsmith.evaluation.compare import paired
from recsmith.evaluation.judge import judge
from recsmith.study.refit import learn_again
from recsmith.study.setup import set_up
from recsmith.study.study import run_study
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsmith.contracts.data import DoubleArray

FAMILIES = {
    "hybrid": ["content_profile", "content_boosted_knn", "ease_content", "ials_content", "two_tower", "vbpr"],
    "content-kNN": ["content_knn"],
    "popularity": ["popularity"],
    "id-only": ["item_knn", "ease", "ials", "bpr_mf", "two_tower"],  # the last one without any encoder
}
AIM = "ndcg@10"
LEARNING = ("two_tower", "vbpr", "bpr_mf")
EPOCHS = "model.*.training.epochs"


@dataclass(frozen=True)
class Log:
    """A log with its item columns and their roles."""

    tables: RawTables
    roles: dict[str, Any]


def names(column: pd.Series) -> pd.Series:
    """Lists written with commas, without remarks in brackets, as entries separated by bars."""

    def entries(value: object) -> str | None:
        if not isinstance(value, str):
            return None
        return "|".join(sorted({re.sub(r"\s*\(.*?\)", "", part).strip() for part in value.split(",")}))

    return column.map(entries)


def movielens(folder: Path) -> Log:
    """ml-1m with genres, plot, people, country, age rating and era; nothing that was counted after the ratings."""
    interactions = pd.read_csv(folder / "interactions.csv.gz").drop(columns=["rating"])
    about = pd.read_csv(folder / "omdb.csv.gz")[["item_id", "plot", "director", "writer", "actors", "country", "rated"]]
    items = pd.read_csv(folder / "items.csv.gz")[["item_id", "title", "genres"]].merge(about, on="item_id", how="left")
    people = zip(names(items.director), names(items.writer), names(items.actors), strict=True)
    items["people"] = ["|".join(part for part in parts if isinstance(part, str)) or None for parts in people]
    items["country"] = names(items.country)
    year = items.title.str.extract(r"\((\d{4})\)\s*$")[0]
    items["era"] = year.map(lambda y: f"{int(y) // 5 * 5}|y{y}" if isinstance(y, str) else None)
    items = items.drop(columns=["director", "writer", "actors"])
    roles = {
        "title": "text",
        "genres": "categories",
        "plot": "text",
        "people": "categories",
        "country": "categories",
        "rated": "category",
        "era": "categories",
    }
    return Log(RawTables(interactions, items), roles)


def lastfm(folder: Path) -> Log:
    """lastfm-hetrec2011: artists of three listeners or more, with the tags that people gave them as text."""
    interactions = at_least(pd.read_csv(folder / "interactions.csv.gz"), 3)[["user_id", "item_id"]]
    tags = pd.read_csv(folder / "item_tags.csv.gz")
    tags["word"] = tags.tag.astype(str).map(lambda tag: re.sub(r"\W+", "_", tag))
    tags["times"] = [" ".join([word] * int(count)) for word, count in zip(tags.word, tags["count"], strict=True)]
    grouped = tags.groupby("item_id")
    items = pd.DataFrame({"item_id": sorted(interactions.item_id.unique())})
    items["tag_text"] = items.item_id.map(grouped.times.agg(" ".join))
    items["tags"] = items.item_id.map(grouped.word.agg("|".join))
    return Log(RawTables(interactions, items), {"tag_text": "text", "tags": "categories"})


def citeulike(folder: Path) -> Log:
    """citeulike-a: articles of eight readers or more, with their tags as entries and as text."""
    interactions = at_least(pd.read_csv(folder / "interactions.csv.gz"), 8)[["user_id", "item_id"]]
    items = pd.read_csv(folder / "items.csv.gz")
    items = items[items.item_id.isin(interactions.item_id)]
    text = items.tags.map(lambda tags: re.sub(r"[_\-|]+", " ", tags) if isinstance(tags, str) else None)
    entries = items.tags.map(lambda tags: tags.replace(" | ", "|") if isinstance(tags, str) else None)
    table = pd.DataFrame({"item_id": items.item_id, "tag_text": text, "tags": entries})
    return Log(RawTables(interactions, table), {"tag_text": "text", "tags": "categories"})


def tiktok(folder: Path) -> Log:
    """TikTok with ready-made vectors of picture and sound, as published."""
    interactions = pd.read_csv(folder / "interactions.csv.gz")[["user_id", "item_id", "split"]]
    vectors = {name: np.load(folder / f"{name}_feat.npy").astype(np.float32) for name in ("image", "audio")}
    items = pd.DataFrame({"item_id": range(len(vectors["image"]))} | {n: list(v) for n, v in vectors.items()})
    return Log(RawTables(interactions, items), {"image": "vector", "audio": "vector"})


def at_least(interactions: pd.DataFrame, count: int) -> pd.DataFrame:
    """The interactions with items that occur so often."""
    counts = interactions.item_id.value_counts()
    return interactions[interactions.item_id.isin(counts[counts >= count].index)]


LOGS: dict[str, tuple[str, Callable[[Path], Log]]] = {
    "ml-1m": ("ml-1m", movielens),
    "lastfm": ("lastfm-hetrec2011", lastfm),
    "citeulike": ("citeulike-a", citeulike),
    "tiktok": ("tiktok", tiktok),
}


@dataclass(frozen=True)
class Found:
    """What a study ended with, judged on the test."""

    what: str  # the model
    valid: float | None
    per_request: DoubleArray  # of each request
    seconds: float


def study(log: Log, part: str, family: str, settings: argparse.Namespace, folder: Path) -> Found:
    """Search a family, learn its best again, judge it."""
    models = {**FAMILIES, "hybrid": settings.hybrid, "id-only": settings.id_only}[family]
    space: dict[str, Any] = {EPOCHS: 8} if any(model in LEARNING for model in models) else {}
    if "two_tower" in models and family == "id-only":
        space |= {f"model.two_tower.content.encoders.{column}": "none" for column in log.roles}
    split = {
        "cold": Choice(name="cold_item", params={"test": 0.2, "valid": 0.1}),
        "warm": Choice(name="leave_last"),
        "published": Choice(name="published"),
    }[part]
    plan = Plan(
        name=folder.name,
        data=DataPlan(source="<dataframe>", columns=Columns(items=log.roles)),
        scenario="cold_item" if part == "cold" else "next_item",
        split=split,
        metrics=(AIM,),
        overrides={"model": models, **space},
        budget=Budget(trials=1 if models == ["popularity"] else settings.trials, time=60 * settings.minutes),
        engine=Engine(name="ray"),
        seed=settings.seed,
    )
    begun = time.perf_counter()
    frame: Any = log.tables
    registry = load_plugins(plan.plugins, plan.without).registry
    if family == "popularity":  # it cannot rank new items, so no study of them would take it
        best = TrialResult(
            number=0, root=0, state="complete", configuration=Choice(name="popularity"), best_epoch=1, seconds=0.0
        )
        plan = plan.model_copy(update={"overrides": {}})
    else:
        best = run_study(plan, folder, frame=frame).best
    setup = set_up(plan, registry, frame=frame, folder=folder)
    setup.split.sealed.release("the searches are over")
    fold = setup.split.sealed.open()
    judged = judge(learn_again(best, fold, setup).serving, fold, [AIM], registry, scenario=plan.scenario)
    return Found(best.configuration.name, best.value, judged.per_request[AIM], time.perf_counter() - begun)


def main() -> None:
    """Print one line for each family and one for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--logs", nargs="+", choices=LOGS, default=list(LOGS))
    parser.add_argument("--parts", nargs="+", choices=("cold", "warm"), default=["cold", "warm"])
    parser.add_argument("--hybrid", nargs="+", default=FAMILIES["hybrid"], help="these models only")
    parser.add_argument("--id-only", nargs="+", default=FAMILIES["id-only"], help="these models only")
    parser.add_argument("--trials", type=int, default=18)
    parser.add_argument("--minutes", type=float, default=4.0, help="at most, of each search and its refit")
    parser.add_argument("--seed", type=int, default=1)
    settings = parser.parse_args()
    for name in settings.logs:
        folder, read = LOGS[name]
        log = read(settings.data / folder)
        parts = ["published"] if name == "tiktok" else settings.parts
        for part in parts:
            families = ["hybrid", "popularity", "content-kNN" if part == "cold" else "id-only"]
            found = {}
            with tempfile.TemporaryDirectory(prefix="content-") as scratch:
                for family in families:
                    found[family] = one = study(log, part, family, settings, Path(scratch) / family)
                    valid = "" if one.valid is None else f"valid {one.valid:.4f}, "
                    figures = f"{valid}test {one.per_request.mean():.4f}"
                    requests = f"{len(one.per_request)} requests, {one.seconds:.0f} s"
                    print(f"{name} {part}: {family}: {one.what}, {figures} ({requests})", flush=True)
            hybrid = found.pop("hybrid")
            for family, other in found.items():
                test = paired(hybrid.per_request, other.per_request, settings.seed)
                print(
                    f"{name} {part}: hybrid - {family}: {test.difference:+.4f} "
                    f"[{test.low:+.4f}, {test.high:+.4f}], p = {test.p_value:.4f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
