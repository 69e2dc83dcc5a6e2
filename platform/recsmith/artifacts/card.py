"""The model card, README.md of an artifact: for people who were not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recsmith.contracts.artifact import ArtifactFacts, Compared, Manifest

ANEW = "train anew or run `recsmith update` to add items"
LIMITS = f"""\
* The figures hold for this log, this split and full-catalogue ranking; compare them only inside this protocol.
* Items outside `catalog/items.parquet` are never recommended; {ANEW}.
* A user without any known history gets the most popular items, marked with the source `popularity`.
* Offline figures tell how well the past was ranked, not what recommending will change.
* `catalog/` holds identifiers, histories and columns of the log: treat it as personal data."""


def model_card(manifest: Manifest) -> str:
    """The card as Markdown."""
    facts = manifest.facts
    trial = "an ensemble" if facts.trial is None else f"trial {facts.trial}"
    seeds = ", ".join(f"{name} {seed}" for name, seed in sorted(facts.seeds.items())) or "not recorded"
    names = ", ".join(configuration.name for configuration in manifest.configurations)
    figures = "\n".join(
        f"| {name} | {figure.value:.4f} | {figure.low:.4f} to {figure.high:.4f} |"
        for name, figure in sorted(facts.metrics.items())
    )
    seen = "seen items are left out" if facts.mask_seen else "seen items may be recommended again"
    among, limits = "", LIMITS
    if facts.domain is not None:
        among = f"\nItems of the domain {facts.domain!r} are recommended, whatever is known of a user."
        limits = LIMITS.replace(ANEW, "train anew to add items")  # an update does not know of domains
    return f"""\
# {facts.study}

A recommender saved by recsmith {manifest.recsmith}: {trial} of the study "{facts.study}", made of {names}.
Scenario {facts.scenario}, chosen by {facts.objective}; {seen}.

## Data

{manifest.users:,} users, {manifest.items:,} items, {manifest.interactions:,} interactions learnt from.
Data fingerprint `{facts.data_fingerprint}`, split {facts.split} with hash `{facts.split_hash}`.{among}

## Figures on test

| metric | value | interval |
|---|---|---|
{figures}

{manifest.note}

## Search cost

{facts.search_trials:,} trials in {facts.search_seconds:,.0f} seconds. Seeds: {seeds}.
{_update(facts)}
## Limits

{limits}
"""


def _update(facts: ArtifactFacts) -> str:
    """What the latest update did; nothing where there was none."""
    update = facts.update
    if update is None:
        return ""
    refused = f"\nWritten although {update.refused}.\n" if update.refused else ""
    return f"""
## Update {update.number}

{update.interactions:,} new interactions, {update.users:,} new users, {update.items:,} new items.
The artifact before has the manifest hash `{update.parent}`.
Members: {", ".join(update.ways)}. {facts.objective} on held-out new rows {_change(update.judged["all"])}; on known
users' old rows {_change(update.forgetting)}, and it may fall by {update.bound:g}.
{refused}"""


def _change(compared: Compared) -> str:
    """From what to what, with the gain's interval."""
    interval = f"{compared.gain:+.4f}, {compared.low:+.4f} to {compared.high:+.4f}"
    return f"{compared.before:.4f} -> {compared.after:.4f} ({interval}, {compared.requests:,} requests)"
