"""`recsmith doctor`: what this machine has, and what stands in the way."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Tell versions, devices, plugins and space on disk."""
    from recsmith.cli.printing import print_json, print_table

    report = examine()
    if as_json:
        print_json(report)
        return
    print_table("", ("fact", "value"), [(key, value) for key, value in report.items() if key != "plugins"])
    broken = [plugin for plugin in report["plugins"] if plugin["state"] == "quarantined"]
    print_table(
        f"plugins: {len(report['plugins']) - len(broken)} active, {len(broken)} quarantined",
        ("plugin", "distribution", "reason"),
        [(plugin["name"], plugin["distribution"], plugin["reason"]) for plugin in broken],
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
