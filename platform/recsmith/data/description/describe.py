"""From a log to its description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from recsmith.contracts.data import MEDIA
from recsmith.data.description.columns import columns_of, media_of
from recsmith.data.description.duplicates import MEASURES, duplicates_of
from recsmith.data.description.encoding import Encodings, sources
from recsmith.data.description.facts import Description
from recsmith.data.description.interactions import interactions_of
from recsmith.data.description.item_map import item_map_of
from recsmith.data.description.texts import texts_of

if TYPE_CHECKING:
    from recsmith.data.coded import Dataset
    from recsmith.wiring.registry import Registry


def describe(dataset: Dataset, registry: Registry) -> Description:
    """What a loaded log holds; the same log and the same plugins give the same facts.

    One thread: sums in an order of their own would tell t-SNE's places apart from run to run.
    """
    encodings = Encodings(registry)
    every = tuple(sources(dataset))
    with threadpool_limits(1):
        return Description(
            source=dataset.source,
            reader=dataset.reader,
            fingerprint=dataset.fingerprint,
            notes=dataset.notes,
            interactions=interactions_of(dataset),
            columns=columns_of(dataset, every),
            media=tuple(media_of(source, encodings) for source in every if source.column.role in MEDIA),
            texts=tuple(texts_of(source, encodings) for source in every if source.column.role == "text"),
            duplicates=tuple(duplicates_of(source, encodings) for source in every if source.column.role in MEASURES),
            item_map=item_map_of(dataset, every, encodings),
        )
