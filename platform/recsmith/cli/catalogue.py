"""`recsmith plugins catalogue`: everything that the installed plugins offer, as a page or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from recsmith.wiring.catalogue import Catalogue, Entry, ParameterEntry, SettingsEntry

_GIVEN = {  # how the settings of what is not searched are given
    "readers": "A reader is found from the source, or named in a plan: `data: {source: shop/, reader: folder}`.",
    "splitters": "In a plan: `split: {name: time_cut, test: 0.2}`.",
    "metrics": "In a plan: `objective: ndcg@10`, `metrics: [recall@20]`; metrics of ratings have no cut-off. "
    "How each is computed is in [metrics.md](metrics.md).",
    "combiners": "The `combination.json` of an artifact with several members names one.",
    "exporters": "`recsmith export STUDY -o PLACE --format tar`.",
}
_NAMES = {"examples": "learns from", "default_for": "default for"}


def catalogue(
    distribution: Annotated[str | None, typer.Option("--distribution", help="Only what this one offers.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every active plugin with its parameters, domains, defaults and source, as Markdown."""
    from dataclasses import asdict

    from recsmith.cli.printing import print_json
    from recsmith.wiring.catalogue import gather
    from recsmith.wiring.plugins import BUILT_IN, load_plugins

    only = None if distribution is None else {distribution, BUILT_IN}  # paths lead through the built-in models
    found = gather(load_plugins(only), distribution)
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(page(found), nl=False)


def page(found: Catalogue) -> str:
    """The catalogue as Markdown. A plugin's anchor is its kind and name run together: `#modelsease`."""
    from recsmith.contracts import hooks

    owners = sorted({entry.distribution for entry in found.entries})
    kinds = list(dict.fromkeys(entry.kind for entry in found.entries))
    kinds.sort(key=lambda kind: (kind != "models", list(vars(hooks)).index(f"provide_{kind}")))
    lines = ["# Catalogue of plugins", "", *_introduction(owners), ""]
    for kind in kinds:
        entries = [entry for entry in found.entries if entry.kind == kind]
        named = ", ".join(_link(f"{kind}.{entry.name}", entry.name) for entry in entries)
        lines.append(f"* [{_title(kind)}](#{_anchor(_title(kind))}): {named}")
    if found.settings:
        named = ", ".join(_link(f"settings.{shared.name}", shared.name) for shared in found.settings)
        lines.append(f"* [Shared settings](#shared-settings): {named}")
    for kind in kinds:
        entries = [entry for entry in found.entries if entry.kind == kind]
        lines += ["", *_kind(kind, getattr(hooks, f"provide_{kind}").__doc__, entries, several=len(owners) > 1)]
    if found.settings:
        lines += ["", "## Shared settings", "", "Several plugins hold them; what is different there is said there."]
        for shared in found.settings:
            lines += ["", *_settings(shared)]
    return "\n".join(lines) + "\n"


def _introduction(owners: Sequence[str]) -> Iterator[str]:
    yield f"What {' and '.join(owners) or 'nobody'} offers, as `recsmith plugins catalogue` prints it from the code."
    yield ""
    yield (
        "Where a path stands above a table, its parameters are searched unless a space file or `--set` pins them; the "
        "full name there is the path followed by the parameter. `*` stands for every name that fits, COLUMN for a "
        "column of the item table. Bounds are included, and `log` draws evenly over magnitudes. What *needs* and "
        "*offers* mean is in [hooks.md](hooks.md#needs-and-offers). *Cost* is what one default trial on a log of a "
        "hundred thousand to a million interactions takes, or what a part adds to it; where nothing is said, seconds."
    )


def _kind(kind: str, what: str, entries: Sequence[Entry], *, several: bool) -> Iterator[str]:
    yield f"## {_title(kind)}"
    yield ""
    yield f"{what} Offered by [`provide_{kind}`](hooks.md#provide_{kind}). {_GIVEN.get(kind, '')}".rstrip()
    for entry in entries:
        yield ""
        yield from _entry(entry, several=several)


def _entry(entry: Entry, *, several: bool) -> Iterator[str]:
    yield f"### {entry.kind}.{entry.name}"
    yield ""
    yield " ".join(filter(None, (entry.description, entry.notes)))
    yield ""
    if "formula" in entry.facts:
        yield from ("```text", entry.facts["formula"], "```", "")
    if said := [f"*{name}* {value}" for name, value in _said(entry, several=several)]:
        yield from (" · ".join(said), "")
    yield f"*source* {_source(entry.source)}"
    if entry.parameters:
        paths = " or ".join(f"`{path}.…`" for path in entry.paths)
        yield ""
        yield from _table(entry.parameters, paths)
    if entry.settings_notes:
        yield ""
        yield entry.settings_notes


def _said(entry: Entry, *, several: bool) -> Iterator[tuple[str, str]]:
    """The line of facts: name and value, both Markdown."""
    if several:
        yield "from", f"{entry.distribution} {entry.version}"
    for name in ("needs", "offers"):
        if values := getattr(entry, name):
            yield name, ", ".join(f"`{value}`" for value in values)
    facts = {name: value for name, value in entry.facts.items() if name != "formula"}
    usual = facts.get("default_for") == facts.get("roles") and facts.pop("default_for", None) is not None
    for name, value in facts.items():
        words = [_value(one) for one in (value if isinstance(value, list) else [value])]
        text = (" to " if name == "within" else ", ").join(words)
        yield _NAMES.get(name, name), f"{text} (default)" if name == "roles" and usual else text
    if entry.cost != "seconds" or entry.kind == "models":
        yield "cost", entry.cost


def _settings(shared: SettingsEntry) -> Iterator[str]:
    yield from (f"### settings.{shared.name}", "", shared.description, "")
    yield from _table(shared.parameters, "")


def _table(parameters: Sequence[ParameterEntry], paths: str) -> Iterator[str]:
    said = any(parameter.meaning for parameter in parameters)
    yield f"| {paths or 'parameter'} | domain | default |" + (" meaning |" if said else "")
    yield "|---|---|---|" + ("---|" if said else "")
    for parameter in parameters:
        cells = [f"`{parameter.name}`", _domain(parameter.domain), _default(parameter)]
        cells += [parameter.meaning] if said else []
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _domain(domain: dict[str, Any]) -> str:
    kind = domain["kind"]
    if kind in {"int", "float"}:
        step = f", step {domain['step']}" if domain.get("step", 1) != 1 else ""
        return f"{kind} {_number(domain['low'])} … {_number(domain['high'])}{', log' if domain['log'] else ''}{step}"
    if kind == "categorical":
        return ", ".join(_value(choice) for choice in domain["choices"])
    if kind == "settings":
        return f"as {_link('settings.' + domain['of'], domain['of'])}"
    if kind == "fixed":
        return f"*not searched*, {domain['type']}"
    named = f"[{_title(domain['of']).lower()}](#{_anchor(_title(domain['of']))})"
    offering = f" that offer {' and '.join(f'`{need}`' for need in domain['needs'])}" if domain["needs"] else ""
    none = ", or `none`" if domain["optional"] else ""
    each = f"for each column of the table of {domain['table']} " if kind == "per_column" else ""
    reading = " that read its role" if kind == "per_column" else ""
    return f"{each}one of the {named}{offering}{reading}{none}"


def _default(parameter: ParameterEntry) -> str:
    kind, value = parameter.domain["kind"], parameter.default
    if kind == "settings":
        return ""
    if kind == "per_column":
        return "the default for its role"
    if kind == "one_of" and value is not None:
        given = ", ".join(f"`{name}` {_value(one)}" for name, one in value["params"].items())
        return _link(f"{parameter.domain['of']}.{value['name']}", value["name"]) + (f" with {given}" if given else "")
    return _value(value)


def _value(value: Any) -> str:
    """A value as a space file writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    return f"`{_number(value)}`" if isinstance(value, (int, float)) else f"`{value}`"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.12g}".replace("e-0", "e-").replace("e+0", "e")


def _source(text: str) -> str:
    """A source with its addresses as links; "none: why" says that there is none."""
    return " ".join(_linked(word) for word in text.split(" ")) if text else "not stated"


def _linked(word: str) -> str:
    """A word, as a link where it is an address; punctuation behind it stays outside."""
    bare = word.rstrip(",;.")
    if bare.startswith("doi:"):
        return f"[{bare}](<https://doi.org/{bare.removeprefix('doi:')}>){word[len(bare) :]}"
    if bare.startswith("https://"):
        return f"[{bare.removeprefix('https://')}](<{bare}>){word[len(bare) :]}"
    return word


def _title(kind: str) -> str:
    return kind.capitalize().replace("meta_learners", "meta-learners").replace("Meta_", "Meta-").replace("_", " ")


def _link(anchor: str, text: str) -> str:
    return f"[{text}](#{_anchor(anchor)})"


def _anchor(heading: str) -> str:
    """The anchor that a heading gets: lower case, blanks become dashes, other punctuation goes."""
    kept = (letter for letter in heading.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")
    return "".join(kept)
