"""Every benchmark of ours alone, one after the other, each in a process of its own: `make bench`.

    python benchmarks/run.py

Figures to quote are the ratios within one run: machines are shared. A benchmark that fails is reported and the rest go
on; the exit code is then 1.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = ("evaluation.py", "training.py", "trial_overhead.py", "memory.py")
STARTS = 5


def start_seconds(*arguments: str) -> float:
    """Median seconds of a Python process with these arguments."""
    seconds = []
    for _ in range(STARTS):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def print_help_time() -> None:
    """How long `recsmith --help` takes, beside a Python that does nothing."""
    program = "import sys; sys.argv = ['recsmith', '--help']; from recsmith.cli.main import main; main()"
    ours, bare = start_seconds("-c", program), start_seconds("-c", "pass")
    print(f"recsmith --help {ours:.3f} s; python -c pass {bare:.3f} s (medians of {STARTS})", flush=True)


def main() -> int:
    """Run them all."""
    failed = []
    print("== help", flush=True)
    try:
        print_help_time()
    except subprocess.CalledProcessError:
        failed.append("help")
    for script in SCRIPTS:
        print(f"\n== {script.removesuffix('.py')}", flush=True)
        if subprocess.run([sys.executable, str(HERE / script)], check=False).returncode:
            failed.append(script)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
