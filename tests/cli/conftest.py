"""The program in this process."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from recsmith.cli.main import main


@pytest.fixture
def recsmith(monkeypatch, capsys):
    """Run the program in this process: its output, once its exit code is the expected one."""

    def run(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["recsmith", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert end.value.code == code, err
        return SimpleNamespace(stdout=out, stderr=err)

    return run
