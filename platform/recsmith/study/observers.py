"""Observers hear what happens in a study; one that fails is logged and never stops it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pluggy

_logger = logging.getLogger(__name__)


def tell(manager: pluggy.PluginManager, hook: str, **facts: object) -> None:
    """Call every implementation of an observer's hook by itself, so that one failure hides nothing from the others."""
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        try:
            implementation.function(**{name: facts[name] for name in implementation.argnames})
        except (Exception, SystemExit):
            _logger.exception("the observer %s of plugin %s failed", hook, implementation.plugin_name)
