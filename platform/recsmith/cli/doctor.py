"""`recsmith doctor`: what this machine has, and what stands in the way."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Tell versions, devices, plugins and space on disk."""
    from collections import Counter

    from recsmith.cli.printing import print_json, print_table

    report = examine()
    if as_json:
        print_json(report)
        return
    print_table("", ("fact", "value"), [(key, value) for key, value in report.items() if key != "plugins"])
    plugins = report["plugins"]
    counts = Counter(plugin["state"] for plugin in plugins)
    aside = sorted((p for p in plugins if p["state"] in ("quarantined", "lacking")), key=lambda plugin: plugin["state"])
    told = ", ".join(f"{counts[state]} {state}" for state in ("active", "lacking", "quarantined"))
    print_table(
        f"plugins: {told}",
        ("plugin", "distribution", "state", "reason"),
        [(plugin["name"], plugin["distribution"], plugin["state"], plugin["reason"]) for plugin in aside],
    )


def examine() -> dict[str, Any]:
    """Everything the command tells, as plain data."""
    import os
    import platform
    import shutil
    from dataclasses import asdict
    from importlib.metadata import version

    import torch

    from recsmith.wiring.plugins import load_plugins

    libraries = ("recsmith", "torch", "ray", "optuna", "numpy", "pandas", "pyarrow", "pydantic")
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: version(name) for name in libraries},
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpus": torch.cuda.device_count(),
        "free_disk_gb": round(shutil.disk_usage(".").free / 1e9, 1),
        "plugins": [asdict(plugin) for plugin in load_plugins().found],
    }
