"""Makes `toy_search` importable here, in the subprocesses of the tests, and in Ray's workers."""

import os
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)
os.environ["PYTHONPATH"] = os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH")])])


def pytest_addoption(parser):
    parser.addoption("--kill-rounds", type=int, default=1, help="how often the long kill tests are repeated")


@pytest.fixture
def kill_rounds(request):
    return request.config.getoption("--kill-rounds")
