"""What every plugin of this kind promises. `recsmith plugins check .` runs the same checks."""

from recsmith.testing.conformance import Conformance


class TestMyName(Conformance):
    """The shipped suite, for the entry point of this distribution (install it first: `pip install -e .`)."""

    plugin = "model.my_name"
