"""How fast every encoder is, and how fast its kept features are read: items per second on two threads.

    python benchmarks/encoders.py [--items 300] [--threads 2]

Texts, pictures (128 x 128) and sounds (3 s at 16 kHz) are generated (`recsmith.testing.content_logs`). Three figures
for each encoder with its default settings: encoding, fit included, by the clock; reading what the feature cache kept;
and, for those that learn with a model, a step of their module, forward and backward. The best of two rounds counts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from recsmith.contracts.config import Choice
from recsmith.contracts.content import ItemContent
from recsmith.data.feature_cache import FeatureCache
from recsmith.data.features import encode
from recsmith.search.threads import threads_for
from recsmith.testing.content_logs import ContentLog, content_fold
from recsmith.wiring.plugins import load_plugins

if TYPE_CHECKING:
    from recsmith.contracts.data import Fold
    from recsmith.wiring.registry import Registry

ROUNDS = 2
WIDTH = 64
BATCH = 256
READ = {"text": "text", "picture": "image", "sound": "audio"}


def seconds(fold: Fold, content: ItemContent, registry: Registry, cache: FeatureCache | None) -> float:
    """How long encoding takes."""
    begun = time.perf_counter()
    encode(fold, content, registry, cache)
    return time.perf_counter() - begun


def step_seconds(fold: Fold, content: ItemContent, registry: Registry) -> float | None:
    """How long a forward and backward pass of one batch takes; None where nothing learns."""
    encoded = encode(fold, content, registry).content
    if not encoded.encoders:
        return None
    (name,) = encoded.encoders
    module = encoded.encoders[name].module(WIDTH).train()  # type: ignore[attr-defined]
    rows = torch.from_numpy(encoded.features[name])[:BATCH]
    begun = time.perf_counter()
    module(rows).square().sum().backward()
    return (time.perf_counter() - begun) * BATCH / len(rows)


def main() -> None:
    """Print one line for each encoder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--threads", type=int, default=2)
    settings = parser.parse_args()
    registry = load_plugins().registry
    with tempfile.TemporaryDirectory(prefix="encoders-") as scratch, threads_for(settings.threads):
        fold = content_fold(Path(scratch), ContentLog(items=settings.items // 8 * 8, length=20))
        print(f"{'encoder':20} {'column':8} {'encoded/s':>10} {'read/s':>10} {'learnt/s':>10}")
        for column, role in READ.items():
            for name, spec in registry.specs["encoders"].items():
                if role not in spec.roles:  # type: ignore[attr-defined]
                    continue
                content = ItemContent(encoders={column: Choice(name=name)})
                encoded = min(seconds(fold, content, registry, None) for _ in range(ROUNDS))
                cache = FeatureCache(Path(scratch) / "cache")
                seconds(fold, content, registry, cache)
                read = min(seconds(fold, content, registry, cache) for _ in range(ROUNDS))
                steps = [step_seconds(fold, content, registry) for _ in range(ROUNDS)]
                learnt = [step for step in steps if step is not None]
                rate = f"{BATCH / min(learnt):10,.0f}" if learnt else f"{'':10}"
                items = fold.train.items
                print(f"{name:20} {column:8} {items / encoded:10,.0f} {items / read:10,.0f} {rate}", flush=True)


if __name__ == "__main__":
    main()
