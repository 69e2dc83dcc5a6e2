"""Items in two dimensions, so that those alike lie together, and what they can be coloured by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.manifold import TSNE

from recsmith.contracts.content import ItemContent
from recsmith.contracts.errors import PluginError
from recsmith.data.description.columns import moment
from recsmith.data.description.encoding import note, shortened, title_of, titles_of
from recsmith.data.description.facts import Colouring, ItemMap, Point
from recsmith.data.description.texts import sampled, topics_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recsmith.contracts.data import DoubleArray, FeatureMatrix, LongArray
    from recsmith.data.coded import Dataset
    from recsmith.data.description.encoding import Encodings, Source

MOST_POINTS = 5_000
FEWEST_FOR_TSNE = 50
DIRECTIONS = 50  # of the truncated SVD
PERPLEXITY = 30.0
SWEEPS = (
    500  # of t-SNE: the same neighbours as after 1,000 (trustworthiness .992 and .967 on two logs), in half the time
)
COLOURED = 6  # groups; all others are one
COLOUR_ORDER = {"categories": -3, "category": -2, "text": -1}
STEPS = 5  # of a number's scale
LABEL = 40  # characters


def item_map_of(dataset: Dataset, sources: tuple[Source, ...], encodings: Encodings) -> ItemMap:
    """The map of the items that their columns say anything about."""
    own = tuple(source for source in sources if source.table == "items")
    features, used, notes = _features(own, encodings)
    rows = np.flatnonzero(np.abs(features).sum(axis=1) > 0) if used else np.zeros(0, np.int64)
    if not len(rows):
        notes.append("There is no map: no column of the items says anything that could be drawn.")
        return ItemMap(columns=(), method="", points=(), colourings=(), notes=tuple(notes))
    silent, drawn = len(dataset.item_ids) - len(rows), sampled(rows, MOST_POINTS)
    if len(drawn) < len(rows):
        notes.append(f"{len(drawn):,} of {len(rows):,} items are drawn, picked at random.")
    if silent:
        notes.append(f"{silent:,} items are not drawn: no encoder finds anything in their columns.")
    places, method = project(features[drawn])
    titles = titles_of(dataset)
    points = tuple(
        Point(row=str(dataset.item_ids[row]), name=title_of(titles, row), x=float(x), y=float(y))
        for row, (x, y) in zip(drawn.tolist(), places, strict=True)
    )
    return ItemMap(
        columns=tuple(used),
        method=method,
        points=points,
        colourings=tuple(_colourings(dataset, own, drawn, encodings)),
        notes=tuple(notes),
    )


def _features(own: tuple[Source, ...], encodings: Encodings) -> tuple[Any, list[str], list[str]]:
    """The columns side by side, [I, F], by the default encoder of each; which are used, and what was left out."""
    features: dict[str, FeatureMatrix] = {}
    used, notes = [], []
    for source in own:
        name, column = encodings.usual(source.column.role), source.column.name
        if source.column.role == "id":
            continue  # an id is like no other
        if name is None:
            notes.append(f"{column} is not part of the map: no encoder for {source.column.role} is installed.")
            continue
        try:
            features[column] = encodings.of(source, name).features
        except PluginError as error:
            notes.append(note(f"{column} is not part of the map", error))
            continue
        used.append(f"{column} ({name})")
    if not features:
        return np.zeros((0, 0), np.float32), used, notes
    registry = encodings.registry
    fused = registry.build("fusers", ItemContent().fuser, registry.context()).fuse(features)
    return (fused if isinstance(fused, np.ndarray) else sparse.csr_array(fused)), used, notes


def project(features: FeatureMatrix) -> tuple[DoubleArray, str]:
    """Places [n, 2] from 0 to 1 of n rows, and how they were found.

    van der Maaten and Hinton 2008, Visualizing Data using t-SNE; of few rows their two strongest directions.
    """
    width, rows = features.shape[1], features.shape[0]
    steps = []
    if width > DIRECTIONS and rows > DIRECTIONS:
        dense = TruncatedSVD(DIRECTIONS, random_state=0).fit_transform(features)
        steps.append(f"truncated SVD to {DIRECTIONS} directions")
    else:
        dense = features if isinstance(features, np.ndarray) else features.toarray()
    dense = np.asarray(dense, np.float64)
    if not dense.std(axis=0).max() > 0:
        return np.full((rows, 2), 0.5), "none: all items look alike"
    if rows >= FEWEST_FOR_TSNE:
        perplexity = min(PERPLEXITY, (rows - 1) / 3)
        start = _two_strongest(dense)
        flat = TSNE(2, perplexity=perplexity, init=start, max_iter=SWEEPS, random_state=0).fit_transform(dense)
        steps.append("t-SNE")
    else:
        flat = _two_strongest(dense)
        steps.append("the two strongest directions (PCA)")
    return _framed(np.asarray(flat, np.float64)), ", then ".join(steps)


def _two_strongest(dense: DoubleArray) -> DoubleArray:
    """As scikit-learn starts t-SNE, for columns and rows of any number."""
    found: DoubleArray = np.zeros((len(dense), 2))
    count = min(2, *dense.shape)
    found[:, :count] = PCA(count, svd_solver="full").fit_transform(dense)
    return found / max(float(found[:, 0].std()), 1e-12) * 1e-4


def _framed(places: DoubleArray) -> DoubleArray:
    """Moved and scaled into the unit square, in proportion."""
    size = float(np.ptp(places, axis=0).max()) or 1.0
    middle = (places.max(axis=0) + places.min(axis=0)) / 2
    framed: DoubleArray = np.round((places - middle) / size + 0.5, 4)
    return framed


# --- colours ----------------------------------------------------------------------------------------------------------


def _colourings(dataset: Dataset, own: tuple[Source, ...], drawn: LongArray, encodings: Encodings) -> list[Colouring]:
    """Every way, those that people gave first: the page begins with the first one."""
    found = []
    for source in sorted(own, key=lambda source: COLOUR_ORDER.get(source.column.role, 0)):
        column, name = source.column, source.column.name
        if column.role == "category":
            found.append(_by_value(name, [column.values[row] for row in drawn]))
        elif column.role == "categories":
            first = [None if column.values[row] is None else column.values[row][0] for row in drawn]
            found.append(_by_value(f"{name} (first entry)", first))
        elif column.role in {"number", "time"}:
            show: Callable[[Any], str] = moment if column.role == "time" else "{:g}".format
            found += _by_step(name, column.values[drawn].astype(np.float64), show)
        elif column.role == "text":
            found += _by_topic(source, drawn, encodings)
    counts = np.bincount(dataset.item, minlength=len(dataset.item_ids))[drawn].astype(np.float64)
    return [*found, *_by_step("interactions", counts, "{:g}".format)]


def _by_value(name: str, values: Sequence[str | None]) -> Colouring:
    """The most frequent values, and all others together."""
    counts: dict[str, int] = {}
    for value in values:
        if value is not None:
            counts[value] = counts.get(value, 0) + 1
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:COLOURED]
    number = {value: place for place, value in enumerate(frequent)}
    of = tuple(number.get(value, len(frequent)) if value is not None else len(frequent) for value in values)
    groups = tuple(shortened(value, LABEL) for value in frequent)
    return Colouring(name=name, ordered=False, groups=(*groups, "other or none"), of=of)


def _by_step(name: str, values: DoubleArray, show: Callable[[Any], str]) -> list[Colouring]:
    """Five steps that hold about as many each; nothing where all are equal."""
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, STEPS + 1), method="lower")) if len(known) else known
    if len(edges) < 2:  # noqa: PLR2004 - one step is none
        return []
    step = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    of = np.where(np.isnan(values), len(edges) - 1, step)
    groups = []
    for number in range(len(edges) - 1):
        inside = known[np.clip(np.searchsorted(edges, known, side="right") - 1, 0, len(edges) - 2) == number]
        low, high = show(inside.min()), show(inside.max())
        groups.append(low if low == high else f"{low} to {high}")
    return [Colouring(name=name, ordered=True, groups=(*groups, "none"), of=tuple(of.tolist()))]


def _by_topic(source: Source, drawn: LongArray, encodings: Encodings) -> list[Colouring]:
    """The strongest topic of each text; nothing where topics cannot be found."""
    try:
        topics = topics_of(source, encodings)
    except PluginError:  # which the texts' own part of the page says
        return []
    topic = dict(zip(topics.rows.tolist(), topics.strongest.tolist(), strict=True))
    named = [topics.labels[number] if (number := topic.get(row, -1)) >= 0 else None for row in drawn.tolist()]
    return [_by_value(f"topic of {source.column.name}", named)] if any(named) else []
