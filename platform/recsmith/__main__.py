"""`python -m recsmith`: the same program where its script is not on the path."""

from recsmith.cli.main import main

main()
