"""The description as one HTML page that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsmith.contracts.errors import DataError
from recsmith.records.atomic import write_whole

if TYPE_CHECKING:
    from recsmith.data.description.facts import Description, ItemMap

ENDINGS = (".html", ".htm")
KILO = 1000.0
LEAST_SHARE = 0.0005  # is shown as 0.1 %


def writable(path: Path) -> Path:
    """The path of a page, once it is clear that one may stand there.

    Raises:
        DataError: it is no HTML file, or a folder is there.
    """
    if path.suffix.lower() not in ENDINGS:
        raise DataError(f"{path}: the page is HTML. Name it like {path.stem or 'description'}.html.")
    if path.is_dir():
        raise DataError(f"{path}: a folder is there. Name a file.")
    return path


def write_page(description: Description, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        write_whole(writable(path), page(description).encode())
    except OSError as error:
        raise DataError(f"{path}: it cannot be written ({error.strerror or error}). Name another file.") from error


def page(description: Description) -> str:
    """The page. Whatever comes from the log is escaped; nothing is loaded, and no script but its own runs."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "count": count, "figure": figure, "size": size, "signed": signed}
    style, script = _own("page.css"), _own("map.js")
    return environment.from_string(_own("page.html.j2")).render(
        d=description,
        title=Path(description.source).name or description.source,
        style=style,
        script=script,
        style_hash=_digest(style),
        script_hash=_digest(script),
        map_data=_map_data(description.item_map),
    )


def _own(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """As a content security policy names a script or a style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _map_data(item_map: ItemMap) -> dict[str, Any]:
    points = item_map.points
    return {
        "row": [point.row for point in points],
        "name": [point.name for point in points],
        "x": [point.x for point in points],
        "y": [point.y for point in points],
        "colourings": [colouring.model_dump() for colouring in item_map.colourings],
    }


def percent(share: float | None) -> str:
    """A share with one decimal; one that is not zero is not shown as zero."""
    if share is None:
        return ""
    return "<0.1 %" if 0 < share < LEAST_SHARE else f"{100 * share:.1f} %"


def count(number: int | None) -> str:
    """A whole number with separators."""
    return "" if number is None else f"{number:,}"


def figure(number: float) -> str:
    """A number with three significant places, more where it is large."""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"  # noqa: PLR2004 - where digits stop telling


def signed(score: float) -> str:
    """A score with its sign and two decimals; next to nothing has none."""
    return f"{score:+.2f}" if abs(score) >= 0.005 else "0.00"  # noqa: PLR2004 - rounds to zero


def size(number: float) -> str:
    """Bytes in a unit that fits."""
    for unit in ("bytes", "kB", "MB"):
        if number < KILO:
            return f"{figure(number)} {unit}"
        number /= KILO
    return f"{figure(number)} GB"
