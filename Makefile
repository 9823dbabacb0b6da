# The front door: `make demo` shows shelfwire at work, `make demo-scan` reads a bookshelf, `make test` checks everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Bytecode is kept, whatever the environment says: the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE
# What takes longest begins first, so that the others fill the time beside it.
SLOW_FIRST := tests/faults/test_kills.py tests/pipelines/ai_scan/reader tests/cli tests/faults tests/stories

.PHONY: demo demo-scan test lint types layers core rest docs clean

demo: $(VENV)/.installed
	@$(BIN)/python examples/demo.py

demo-scan: $(VENV)/.scan
	@$(BIN)/python examples/demo_scan.py

# What keeps one core busy runs beside what keeps another.
test: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs=2 types core lint layers
	@$(MAKE) --no-print-directory rest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

core: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/pytest tests/protocol --cov=shelfwire.protocol --cov-fail-under=100 -q

# The core has been tested by then.
rest: $(VENV)/.dev
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --cov=shelfwire --cov-append --durations=10 \
	  --ignore=tests/protocol $(SLOW_FIRST) docs README.md tests

docs: $(VENV)/.installed
	$(BIN)/python docs/tables.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "shelfwire needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) (once)…"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.scan: pyproject.toml | $(VENV)/bin/python
	@echo "Installing the reader for photos, some 350 MB (once)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[scan]"
	@touch $@ $(VENV)/.installed

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[scan]" --group dev
	@touch $@ $(VENV)/.installed $(VENV)/.scan

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
