"""The page of formulas holds every registered metric as its spec states it."""

from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_every_metric_stands_in_the_page_with_its_formula_direction_and_source(registry):
    page = PAGE.read_text(encoding="utf-8")
    for name, spec in registry.specs["metrics"].items():
        section = page.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
        assert section, f"docs/metrics.md has no section `{name}`"
        for line in (spec.formula, spec.direction, spec.source):
            assert line in section, f"docs/metrics.md, `{name}`: {line!r} is missing"


def test_the_page_names_no_metric_that_is_not_there(registry):
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert {line.strip("#` ") for line in lines if line.startswith("### `")} == set(registry.specs["metrics"])
