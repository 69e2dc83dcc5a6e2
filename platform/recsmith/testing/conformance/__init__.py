"""What every plugin promises, as checks that an author runs: `recsmith plugins check`, or a pytest class.

A test file of a plugin is a class that derives from `Conformance` and says `plugin = "model.hitlist"`.
"""

from recsmith.testing.conformance.suite import Conformance, Outcome, checks_of, offered, run_check

__all__ = ["Conformance", "Outcome", "checks_of", "offered", "run_check"]
