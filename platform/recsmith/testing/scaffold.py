"""A new plugin as a distribution of its own: works as it is, and is the author's from then on.

The files under `templates/` are real code that names its plugin `my_name`; here they get the author's name.
"""

from __future__ import annotations

import ast
import keyword
import os
import re
import tempfile
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from recsmith.contracts.errors import PluginError, unknown
from recsmith.contracts.hooks import ENTRY_POINT_GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_NAME = 60  # letters
_RUN = "recsmith study run LOG -o study --trials 10"

# What a person can do with a plugin of each kind once it is installed: the section "Use" of its README.
USES: Mapping[str, str] = MappingProxyType(
    {
        "model": f"```\n{_RUN} --set 'model=[my_name, popularity]'\n```\n\n"
        "Without `--set` it takes part beside all other models that fit the log.",
        "encoder": f"```\n{_RUN} --set model=content_knn "
        "--set model.content_knn.content.encoders.title=my_name\n```\n\n"
        "`title` is a text column of the log's item table.",
        "fuser": f"```\n{_RUN} --set model=content_knn --set model.content_knn.content.fuser=my_name\n```\n\n"
        "The log needs an item table: its encoded columns are what is joined.",
        "meta_learner": f"```\n{_RUN} --scenario cold_user --set model=bpr_mf "
        "--set model.bpr_mf.meta_learner=my_name\n```",
        "sampler": f"```\n{_RUN} --set model=bpr_mf --set model.bpr_mf.training.loss=bpr "
        "--set model.bpr_mf.training.loss.bpr.sampler=my_name\n```",
        "task_sampler": f"```\n{_RUN} --scenario cold_user --set model=adaptive_mlp "
        "--set model.adaptive_mlp.tasks.sampler=my_name\n```",
        "loss": f"```\n{_RUN} --set model=bpr_mf --set model.bpr_mf.training.loss=my_name\n```",
        "schedule": f"```\n{_RUN} --set model=bpr_mf --set model.bpr_mf.training.schedule=my_name\n```",
        "metric": f"```\n{_RUN} --set objective=my_name@10\n```",
        "splitter": f"```\n{_RUN} --set split=my_name\n```",
        "reader": f"```\n{_RUN}\n```\n\nwhere `LOG` ends in `.jsonl` or `.ndjson`, or with any name and "
        "`--set data.reader=my_name`.",
        "combiner": "An artifact of several members names it as what makes their lists one:\n\n```python\n"
        'Combination(combiner=Choice(name="my_name"))\n```\n\n'
        "(from `recsmith.contracts.artifact`, given to `recsmith.artifacts.save.save_artifact`).",
        "exporter": "```\nrecsmith export study -o artifact.zip --format my_name\n```\n\n"
        "`study` is the folder of a study.",
    }
)


def write_distribution(name: str, kind: str, destination: Path) -> Path:
    """Write the distribution `recsmith-<name>` with one plugin into the folder `destination`, whole or not at all.

    Args:
        name: of the plugin, in snake_case; package, module and entry point follow from it.
        kind: one of `USES`.
        destination: the folder that will hold the new one; it is made where it is missing.

    Returns:
        The new folder.

    Raises:
        PluginError: the name or the kind is none, the name or the place is taken, or the place cannot be written to.
    """
    if kind not in USES:
        raise PluginError(unknown("kind of plugin", kind, USES))
    _check_name(name, kind)
    files = _rendered(name, kind)
    target = destination / f"recsmith-{_dashed(name)}"
    if os.path.lexists(target):
        raise PluginError(f"{target}: exists already: choose another name or another --dest, or move it away.")
    try:
        _write(files, target)
    except OSError as error:
        raise PluginError(f"{target}: cannot be written: {error.strerror or error}. Choose another --dest.") from error
    return target


def _check_name(name: str, kind: str) -> None:
    if not _usable(name):
        raise PluginError(
            f"{name!r} is no name for a plugin: write a Python name of at most {LONGEST_NAME} lower-case letters, "
            f"digits and single underscores, for example {_suggestion(name, kind)!r}."
        )
    taken = entry_points(group=ENTRY_POINT_GROUP, name=f"{kind}.{name}")
    for point in taken:
        owner = point.dist.name if point.dist else "another distribution"
        raise PluginError(f"{owner} offers the {kind} {name!r} already: choose another name, or uninstall it.")
    needed = _names_in(_template(f"{kind}.py")) | _names_in(_template(f"answers/{kind}.py"))
    if _camel(name) in needed:
        raise PluginError(
            f"{name!r} would name a class {_camel(name)!r}, which hides a name that the files need. Choose another, "
            f"for example {f'{name}_{kind}'!r}."
        )


def _usable(name: str) -> bool:
    snake = re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name, re.ASCII)
    return snake is not None and not keyword.iskeyword(name) and len(name) <= LONGEST_NAME


def _suggestion(name: str, kind: str) -> str:
    """A usable name near `name`."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)  # HitList: Hit_List
    snake = "_".join(re.findall(r"[a-z0-9]+", parted.lower()))[:40].strip("_")
    return next((near for near in (snake, f"{snake}_{kind}", f"{kind}_{snake}") if _usable(near)), f"my_{kind}")


def _rendered(name: str, kind: str) -> dict[str, str]:
    """The content of every file of the distribution, by its place in there."""
    package = f"recsmith_{name}"
    named = _Naming(name, kind)
    return {
        "pyproject.toml": named.put(_template("shared/pyproject.toml")),
        "README.md": named.put(_template("shared/README.md")),
        f"{package}/__init__.py": named.put('"""my_name: a plugin for recsmith (A_KIND)."""\n'),
        f"{package}/{name}.py": named.put(_template(f"{kind}.py")),
        f"tests/test_{name}.py": named.put(_template("shared/test_plugin.py")),
        f"tests/test_{name}_answers.py": named.put(_own_import_last(_template(f"answers/{kind}.py"))),
    }


@dataclass(frozen=True)
class _Naming:
    name: str
    kind: str

    def put(self, text: str) -> str:
        """The text of a template with the author's name in place of `my_name`."""
        values = {
            f"recsmith.testing.templates.{self.kind}": f"recsmith_{self.name}.{self.name}",
            "model.my_name": f"{self.kind}.{self.name}",
            "my_name": self.name,
            "my-name": _dashed(self.name),
            "MyName": _camel(self.name),
            "A_KIND": self.kind.replace("_", "-"),
            "A_USE": "",
        }
        if "A_USE" in text:
            values["A_USE"] = self.put(USES[self.kind])
        # All in one pass: what is put in is the author's, even where it looks like a token.
        return re.sub("|".join(map(re.escape, values)), lambda found: values[found[0]], text)


def _own_import_last(text: str) -> str:
    """The author's own module is imported in a block of its own, after the installed ones."""
    head, body = text.split("\n\n\n", maxsplit=1)
    lines = head.splitlines()
    own = [line for line in lines if line.startswith("from recsmith.testing.templates.")]
    return "\n".join([*(line for line in lines if line not in own), "", *own]) + "\n\n\n" + body


def _template(place: str) -> str:
    return (TEMPLATES / place).read_text(encoding="utf-8")


def _names_in(source: str) -> set[str]:
    """Every name that a module imports, uses or makes, but for those that become the author's."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.ClassDef):
            names.add(node.name)
    return names - {"MyName", "MyNameConfig"}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _write(files: Mapping[str, str], target: Path) -> None:
    """Write beside the place and move there in one step, so that a failure leaves nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".recsmith-") as scratch:
        whole = Path(scratch) / target.name
        for place, text in files.items():
            path = whole / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        whole.rename(target)
