# Every target does its own set-up: Python 3.11 with venv, pip, make and gcc are all it needs.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready

# A log of your own: make demo DATA=path/to/log, make bench-peers DATA=path/to/ml-1m. Without one, a log is generated.
DATA ?=
DEMO = demo
DEMO_LOG = $(if $(DATA),$(DATA),$(DEMO)/log)

.PHONY: demo test test-install test-zoo test-slow check format bench bench-peers golden clean

demo: $(READY)
	rm -rf $(DEMO)
	mkdir -p $(DEMO)
	$(if $(DATA),,$(BIN)/python -m recsmith.testing.demo $(DEMO)/log)
	$(BIN)/recsmith data check $(DEMO_LOG)
	$(BIN)/recsmith study run $(DEMO_LOG) -o $(DEMO)/study --space quick --trials 12 --time 3m --seed 1
	$(BIN)/recsmith verify $(DEMO)/study/artifact
	$(BIN)/recsmith recommend $(DEMO)/study/artifact -k 5

# A process for each core; a file's tests stay together, for what they share.
test: $(READY)
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

test-install: $(READY)
	$(BIN)/pytest -m install

test-zoo: $(READY)
	$(BIN)/pytest -m zoo -n auto --maxprocesses 4

test-slow: $(READY)
	$(BIN)/pytest -m slow

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --verbose
	$(BIN)/deptry .

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY)
	$(BIN)/python benchmarks/run.py

bench-peers: $(READY)
	$(BIN)/python benchmarks/peers.py $(if $(DATA),--data $(DATA))

# DATA: a folder with ml-100k; without it only the generated log is run.
golden: $(READY)
	$(BIN)/python benchmarks/golden.py $(if $(DATA),--data $(DATA))

clean:
	rm -rf $(VENV) $(DEMO)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps musicnn==0.1.0 # for its weights: what it depends on is not needed
	touch $@
