"""A driver that is there to be killed: `python kill_driver.py FOLDER ENGINE TRIALS`."""

import sys

from toy_search import run_search

if __name__ == "__main__":
    folder, engine, trials = sys.argv[1:]
    print(run_search(folder, trials=int(trials), engine=engine, shared={"pause": 0.02})[0])  # noqa: T201
