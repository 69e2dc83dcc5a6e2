"""Configurations: frozen, closed, plain-data descriptions of one plugin's settings."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """Settings of one plugin; a field annotated with a domain is searched, one without is fixed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Choice(BaseModel):
    """Another plugin by name with its parameters; `wiring` turns it into the built object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    params: dict[str, Any] = Field(default_factory=dict)
