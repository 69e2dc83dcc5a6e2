"""The speed of recsmith beside installable peers: SASRec's training, and models in closed form with their lists.

    python benchmarks/peers.py [--data FOLDER] [--cache FOLDER] [--threads 1] [--rounds 3] [--only closed_form]

Each peer gets a virtual environment under the cache, made once and kept, with the torch that runs here. All take turns
within a round, each in a process of its own, so a busy machine slows all alike; the best round counts. Start-up,
reading and whatever a library does only once are left out. The models in closed form learn from FOLDER's log, each pair
of user and item once, or from a generated log shaped like MovieLens-1M; SASRec from one shaped like MovieLens-100k.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from training import generated, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

CACHE = Path.home() / ".cache" / "recsmith-peers"
SCRIPTS = Path(__file__).parent / "peers"
LIMIT = 1800  # seconds for one process, pip's too
OURS = "recsmith"
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "LK_NUM_THREADS",
    "LK_NUM_BACKEND_THREADS",
    "LK_NUM_PROCS",
)

SASREC = {"width": 64, "length": 100, "blocks": 2, "batch": 128, "dropout": 0.2}
LOSSES = ("full softmax", "one negative", "sampled softmax, 256")  # of these the peers have the first two

CLOSED_FORM: dict[str, dict[str, Any]] = {
    "item_knn": {"neighbours": 100},
    "ease": {"l2": 500.0},
    "ials": {"factors": 64, "iterations": 15, "regularization": 1.0, "alpha": 1.0},
}
K = 10


@dataclass(frozen=True)
class Peer:
    """What is compared with, and what to install for it."""

    name: str
    packages: tuple[str, ...]


TORCH = f"torch=={version('torch')}"  # never the newest one, which may bring a CUDA build
IMPLICIT = Peer("implicit", ("implicit==0.7.3",))
RECTOOLS = Peer("RecTools", (TORCH, "rectools[torch]==0.19.0"))
LENSKIT = Peer("LensKit", (TORCH, "lenskit==2025.8.1"))
RECBOLE = Peer("RecBole", (TORCH, "recbole==1.2.1", "numpy<2", "pandas<3", "setuptools<81"))
WITH_SASREC = (RECTOOLS, RECBOLE)
WITH_CLOSED_FORM = {
    "item_knn": (IMPLICIT, RECTOOLS, LENSKIT),
    "ease": (RECTOOLS, LENSKIT),
    "ials": (IMPLICIT, RECTOOLS, LENSKIT),
}


class NotMeasured(Exception):  # noqa: N818 - no error of ours: the table says it
    """Why a peer has no figure: its last line of output."""


def output(command: list[str], folder: Path, threads: int = 1) -> str:
    """What the command prints, run in `folder`.

    Raises:
        NotMeasured: it failed.
    """
    environment = os.environ | dict.fromkeys(THREADS, str(threads))
    environment.pop("PYTHONPATH", None)
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"no end after {LIMIT} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        errors = [line for line in lines if line.startswith("ERROR")]
        raise NotMeasured((errors or lines)[-1])
    return done.stdout


def installed(peer: Peer, cache: Path) -> Path:
    """The interpreter of the peer's environment, which is made where it is missing or not whole.

    Raises:
        NotMeasured: pip could not install it.
    """
    folder = cache / peer.name.lower()
    python, ready = folder / "bin" / "python", folder / "ready.json"
    if ready.is_file() and json.loads(ready.read_text()) == list(peer.packages):
        return python
    print(f"installing {peer.name} into {folder} …", file=sys.stderr)
    venv.create(folder, clear=True, with_pip=True)
    for packages in (["--upgrade", "pip"], peer.packages):
        output([str(python), "-m", "pip", "install", "--quiet", *packages], folder)
    ready.write_text(json.dumps(peer.packages))
    return python


class Bench:
    """The environments that could be made, and what could not be measured."""

    def __init__(self, cache: Path, threads: int, rounds: int) -> None:
        self.cache, self.threads, self.rounds = cache, threads, rounds
        self.pythons = {OURS: Path(sys.executable)}
        self.missing: list[str] = []

    def install(self, peers: Sequence[Peer]) -> None:
        """Make the environments of `peers`."""
        for peer in peers:
            try:
                self.pythons[peer.name] = installed(peer, self.cache)
            except NotMeasured as reason:
                self.missing.append(f"{peer.name} could not be installed: {reason}")

    def in_turns(
        self, task: str, cases: Mapping[str, tuple[dict[str, Any], Sequence[Peer]]]
    ) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """What `peers/{task}_{who}.py` answers in each round, by case and who; a case is what to ask and of whom."""
        answers: dict[tuple[str, str], list[dict[str, Any]]] = {}
        failed: set[tuple[str, str]] = set()
        for case, (asked, peers) in [*cases.items()] * self.rounds:
            for who in [OURS, *(peer.name for peer in peers if peer.name in self.pythons)]:
                if (case, who) in failed:
                    continue
                try:
                    answer = self._answer(task, who, asked)
                except NotMeasured as reason:
                    failed.add((case, who))
                    self.missing.append(f"{who}, {case}: {reason}")
                else:
                    answers.setdefault((case, who), []).append(answer)
        return answers

    def _answer(self, task: str, who: str, asked: dict[str, Any]) -> dict[str, Any]:
        script = SCRIPTS / f"{task}_{who.lower()}.py"
        question = json.dumps(asked | {"threads": self.threads, "who": who})
        with tempfile.TemporaryDirectory() as scratch:
            lines = output([str(self.pythons[who]), str(script), question], Path(scratch), self.threads)
        answer: dict[str, Any] = json.loads(lines.splitlines()[-1])
        return answer


def table(title: str, rows: Iterable[str], columns: Sequence[str], cells: Mapping[tuple[str, str], str]) -> str:
    """One line for each row, with a dash where a row has no cell for a column."""
    lines = [f"{title:28}" + "".join(f"{column:>13}" for column in columns)]
    lines += [f"{row:28}" + "".join(f"{cells.get((row, column), '-'):>13}" for column in columns) for row in rows]
    return "\n".join(lines)


# --- SASRec -----------------------------------------------------------------------------------------------------------


def sasrec(bench: Bench) -> None:
    """Print positions per second of training, and how many times as many as each peer's that is."""
    histories = generated().histories
    log = bench.cache / "log.csv"  # each user's order in the timestamps
    rows = np.column_stack([histories.rows, histories.item_num, np.arange(len(histories.item_num))])
    np.savetxt(log, rows, "%d", delimiter=",", header="user_id,item_id,timestamp", comments="")
    bench.install(WITH_SASREC)
    cases = {
        loss: ({"log": str(log), "loss": loss} | SASREC, () if loss == LOSSES[-1] else WITH_SASREC) for loss in LOSSES
    }
    answers = bench.in_turns("sasrec", cases)
    print(f"SASRec, {_settings(SASREC)}; to = recsmith / peer")
    columns = [OURS, *(column for peer in WITH_SASREC for column in (peer.name, f"to {peer.name}"))]
    for clock, kind in (("second", "wall"), ("CPU second", "cpu")):
        best = {key: max(answer["positions"] / min(answer[kind]) for answer in found) for key, found in answers.items()}
        cells = {key: f"{speed:,.0f}" for key, speed in best.items()}
        for (loss, who), speed in best.items():
            if (loss, OURS) in best:
                cells[loss, f"to {who}"] = f"{best[loss, OURS] / speed:.1f}"
        print(table(f"positions per {clock}", LOSSES, columns, cells))
    print("one negative: BCE in recsmith and RecTools, BPR in RecBole; a row of RecBole's batch is one prefix\n")


def _settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


# --- closed forms -----------------------------------------------------------------------------------------------------


def ml1m_shaped(seed: int = 0) -> npt.NDArray[np.int64]:
    """Users and items, [N, 2]: 6,040 users of log-normal length, 3,706 items, Zipf-like and to each user's taste."""
    rng = np.random.default_rng(seed)
    length = rng.lognormal(4.6, 0.97, 6040).clip(20, 2000)
    length = np.maximum(1, np.round(length * 1_000_000 / length.sum())).astype(np.int64)
    liking = rng.standard_normal((6040, 8)) @ rng.standard_normal((8, 3706)) / 2 - np.log(np.arange(50, 50 + 3706))
    order = np.argsort(-(liking + rng.gumbel(size=liking.shape)), axis=1)  # a draw without replacement
    user = np.repeat(np.arange(6040), length)
    place = np.arange(len(user)) - np.repeat(np.cumsum(length) - length, length)
    return np.column_stack([user, order[user, place]])


def write_pairs(data: Path | None, path: Path) -> str:
    """Save the log [N, 2] int32, no pair twice, sorted by user, items numbered as they occur; and say its size."""
    if data:
        histories = read(data).histories
        pairs = np.column_stack([histories.rows, histories.item_num]).astype(np.int64)
    else:
        pairs = ml1m_shaped()
    pairs = pairs[np.sort(np.unique(pairs, axis=0, return_index=True)[1])]
    _, first, item = np.unique(pairs[:, 1], return_index=True, return_inverse=True)
    pairs[:, 1] = np.argsort(np.argsort(first))[item]
    np.save(path, pairs.astype(np.int32))
    users, items = pairs.max(axis=0) + 1
    return f"{data.name if data else 'generated'}: {users:,} users, {items:,} items, {len(pairs):,} pairs"


def closed_form(bench: Bench, data: Path | None) -> None:
    """Print seconds to fit and to recommend to all users, ours beside the fastest peer's, and how far lists agree."""
    log, lists = bench.cache / "pairs.npy", bench.cache / "lists"
    lists.mkdir(exist_ok=True)
    size = write_pairs(data, log)
    names = list(dict.fromkeys(peer.name for peers in WITH_CLOSED_FORM.values() for peer in peers))
    bench.install(WITH_CLOSED_FORM["ials"])
    common: dict[str, Any] = {"log": str(log), "lists": str(lists), "k": K}
    cases = {
        model: (common | {"model": model} | settings, WITH_CLOSED_FORM[model])
        for model, settings in CLOSED_FORM.items()
    }
    answers = bench.in_turns("closed_form", cases)
    print(f"{size}; {'; '.join(f'{model}: {_settings(settings)}' for model, settings in CLOSED_FORM.items())}")
    for work, title in (("fit", "to fit"), ("recommend", f"for top {K} of all")):
        for place, clock in enumerate(("seconds", "CPU seconds")):
            best = {key: min(answer[work][place] for answer in found) for key, found in answers.items()}
            cells = {key: f"{seconds:.3f}" for key, seconds in best.items()}
            for model in CLOSED_FORM:
                theirs = [best[model, name] for name in names if (model, name) in best]
                if theirs and (model, OURS) in best:
                    cells[model, "to fastest"] = f"{best[model, OURS] / min(theirs):.2f}"
            print(table(f"{clock} {title}", CLOSED_FORM, [OURS, *names, "to fastest"], cells))
    shared = {(model, who): _shared(lists, model, who) for model, who in answers if (model, OURS) in answers}
    print(table(f"share of our top {K}", CLOSED_FORM, names, shared))
    print("ials: LensKit starts from other random factors; ease: RecTools multiplies with the matrix transposed\n")


def _shared(lists: Path, model: str, who: str) -> str:
    """How much of our lists is in theirs, at whatever place."""
    ours, theirs = (np.load(lists / f"{model}_{name}.npy") for name in (OURS, who))
    return f"{(ours[:, :, None] == theirs[:, None, :]).any(axis=2).mean():.4f}"


def main() -> None:
    """Print the tables, and what could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="a folder with interactions.csv or interactions.csv.gz")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("sasrec", "closed_form"))
    options = parser.parse_args()
    cache = options.cache.absolute()
    cache.mkdir(parents=True, exist_ok=True)
    bench = Bench(cache, options.threads, options.rounds)
    print(f"threads: {options.threads}; the best of {options.rounds} rounds")
    if options.only != "closed_form":
        sasrec(bench)
    if options.only != "sasrec":
        closed_form(bench, options.data)
    print(*dict.fromkeys(bench.missing), sep="\n")


if __name__ == "__main__":
    main()
