"""SASRec's positions per second beside RecTools' and RecBole's, on one generated log; one table.

    python benchmarks/peers.py [--cache FOLDER] [--threads 2] [--rounds 2]

Each peer gets a virtual environment under FOLDER, made once and kept, with the torch that runs here. All take turns
within a round, so a busy machine slows all alike; the best stretch counts, start-up and each one's first are left out.
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
from typing import Any, NamedTuple

import numpy as np
from training import generated

CACHE = Path.home() / ".cache" / "recsmith-peers"
SCRIPTS = Path(__file__).parent / "peers"
SHAPE = {"width": 64, "length": 100, "blocks": 2, "batch": 128, "dropout": 0.2}
LOSSES = ("full softmax", "one negative", "sampled softmax, 256")  # of these the peers have the first two
OURS = "recsmith"
LIMIT = 900  # seconds for one measurement


@dataclass(frozen=True)
class Peer:
    """What is compared with: its script, and what to install for it beside torch."""

    name: str
    script: str
    packages: tuple[str, ...]


PEERS = (
    Peer("RecTools", "rectools_peer.py", ("rectools[torch]==0.17.0", "numpy<2")),
    Peer("RecBole", "recbole_peer.py", ("recbole==1.2.1", "numpy<2", "pandas<3", "setuptools<81")),
)


class Speed(NamedTuple):
    """Positions per second and per second of CPU, of all threads together."""

    wall: float
    cpu: float


class NotMeasured(Exception):  # noqa: N818 - no error of ours: the table says it
    """Why a peer has no figure: its last line of output."""


def installed(peer: Peer, cache: Path) -> Path:
    """The interpreter of the peer's environment, which is made where it is missing or not whole.

    Raises:
        NotMeasured: pip could not install it.
    """
    folder = cache / peer.name.lower()
    python = folder / "bin" / "python"
    wanted = [f"torch=={version('torch')}", *peer.packages]  # never the newest torch, which may bring a CUDA build
    ready = folder / "ready.json"
    if ready.is_file() and json.loads(ready.read_text()) == wanted:
        return python
    print(f"installing {peer.name} into {folder} …", file=sys.stderr)
    venv.create(folder, clear=True, with_pip=True)
    for packages in (["--upgrade", "pip"], wanted):
        output([str(python), "-m", "pip", "install", "--quiet", *packages], folder)
    ready.write_text(json.dumps(wanted))
    return python


def output(command: list[str], folder: Path, threads: int = 1) -> str:
    """What the command prints, run in `folder`.

    Raises:
        NotMeasured: it failed.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
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


def write_log(path: Path) -> None:
    """The log of `benchmarks/training.py`, shaped like MovieLens-100k, each user's order in the timestamps."""
    histories = generated().histories
    user, item = histories.rows, histories.item_num
    rows = np.column_stack([user, item, np.arange(len(user))])
    np.savetxt(path, rows, "%d", delimiter=",", header="user_id,item_id,timestamp", comments="")


def measured(python: Path, script: str, asked: dict[str, Any]) -> Speed:
    """One script's best stretch.

    Raises:
        NotMeasured: the script failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = [str(python), str(SCRIPTS / script), json.dumps(asked)]
        found = json.loads(output(command, Path(scratch), asked["threads"]).splitlines()[-1])
    return Speed(found["positions"] / min(found["wall"]), found["positions"] / min(found["cpu"]))


def measure_all(log: Path, cache: Path, threads: int, rounds: int) -> tuple[dict[tuple[str, str], Speed], list[str]]:
    """The best of all rounds by (who, loss), and a sentence on each peer that has none."""
    runners, missing = {OURS: (Path(sys.executable), "ours.py")}, []
    for peer in PEERS:
        try:
            runners[peer.name] = installed(peer, cache), peer.script
        except NotMeasured as reason:
            missing.append(f"{peer.name} could not be installed: {reason}")
    found: dict[tuple[str, str], Speed] = {}
    for loss in LOSSES * rounds:
        for name in [OURS] if loss == LOSSES[-1] else list(runners):
            try:
                speed = measured(*runners[name], {"log": str(log), "loss": loss, "threads": threads} | SHAPE)
            except NotMeasured as reason:
                missing.append(f"{name}, {loss}: {reason}")
                continue
            best = found.get((name, loss), speed)
            found[name, loss] = Speed(*map(max, best, speed))
    return found, list(dict.fromkeys(missing))


def table(title: str, speeds: dict[tuple[str, str], float]) -> str:
    """One line for each loss: ours, and each peer with how many times faster ours is."""
    lines = [f"{title:24}{OURS:>10}" + "".join(f"{peer.name:>12}{'ratio':>8}" for peer in PEERS)]
    for loss in LOSSES:
        ours = speeds.get((OURS, loss))
        line = f"{loss:24}" + (f"{ours:10,.0f}" if ours else f"{'-':>10}")
        for peer in PEERS:
            theirs = speeds.get((peer.name, loss))
            line += f"{theirs:12,.0f}" if theirs else f"{'-':>12}"
            line += f"{ours / theirs:8.1f}" if ours and theirs else f"{'-':>8}"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Print the table, and what could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    cache = options.cache.absolute()
    cache.mkdir(parents=True, exist_ok=True)
    log = cache / "log.csv"
    write_log(log)
    found, missing = measure_all(log, cache, options.threads, options.rounds)
    shape = ", ".join(f"{name} {value}" for name, value in SHAPE.items())
    print(f"SASRec, {shape}, {options.threads} threads; the best of {options.rounds} rounds; ratio = recsmith / peer")
    print(table("positions per second", {key: speed.wall for key, speed in found.items()}))
    print(table("positions per CPU second", {key: speed.cpu for key, speed in found.items()}))
    print("one negative: BCE in recsmith and RecTools, BPR in RecBole; a row of RecBole's batch is one prefix")
    print(*missing, sep="\n")


if __name__ == "__main__":
    main()
