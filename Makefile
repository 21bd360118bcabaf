# Everything a person or a build server runs. `make` alone lists it.
# Needed: git, make, Python 3.11 or newer with its venv module. Nothing is compiled, and only .venv is written.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --require-hashes
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long lint bench faults serve pin clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.checks ## make .venv with what running and checking need

demo: $(VENV)/.runtime ## show it all: simulated systems, a made-up municipality and the hub (ARGS="--help")
	$(BIN)/hub demo $(ARGS)

serve: $(VENV)/.runtime ## run the hub on the configuration in config/ (ARGS="--help")
	$(BIN)/hub run $(ARGS)

test: setup ## run the tests (ARGS="tests/operate -x")
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

# Those that start processes which share the machine run alone; the others beside each other.
ALONE := tests/faults tests/engine/test_processes.py

test-long: setup ## run the slow tests: PostgreSQL, fuzzing, histories, leaks, faults (under half an hour)
	$(BIN)/python -m pytest -m long -n 2 --dist loadfile --durations 25 --ignore tests/bench \
	  --ignore tests/faults --ignore tests/engine/test_processes.py $(ARGS) || [ $$? -eq 5 ]
	$(BIN)/python -m pytest -m long --durations 25 $(ALONE) $(ARGS) || [ $$? -eq 5 ] # 5: ARGS chose none of these

lint: setup ## check style, types and which room imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup $(VENV)/dlt/.made ## measure how fast it is, beside its peers
	$(BIN)/python -m pytest tests/bench -m 'long or not long' $(ARGS)

faults: setup ## stop, cut off and kill it in full, with figures (hours; ARGS="-k name" does one; test-long is short)
	STAFETTHUB_FAULTS=full $(BIN)/python -m pytest tests/faults tests/sync/test_histories.py tests/sync/test_rule_histories.py -m 'long or not long' -s --durations 0 --durations-min 1 $(ARGS)

pin: setup ## choose the newest fitting versions anew and write them with hashes
	$(BIN)/python -m pip --disable-pip-version-check --quiet install pip-tools
	for name in requirements requirements-dev; do \
	  $(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-header \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file $$name.txt $$name.in || exit 1; \
	done

clean: ## remove .venv and all caches (var/, where the data lies, stays)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
	find hub tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ensurepip is what Debian leaves out of python3 and puts into python3-venv.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Python 3.11 or newer is missing. Debian and Ubuntu: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python's venv module is missing. Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A path file and a starter in place of an installation: nothing is built, and the checkout is what runs.
# The starter's second line is text to Python and a command to the shell, so that a folder with a blank in it works.
$(VENV)/.runtime: requirements.txt | $(BIN)/pip
	$(PIP) --only-binary :all: -r requirements.txt
	@$(BIN)/python -c 'import os, pathlib, sysconfig; \
	  site = sysconfig.get_path("purelib"); \
	  pathlib.Path(site, "stafetthub.pth").write_text(os.path.relpath(".", site) + "\n")'
	@printf '%s\n' '#!/bin/sh' "'''exec' \"\$$(dirname \"\$$0\")/python\" \"\$$0\" \"\$$@\"" "' '''" \
	  'from hub.cli import main' 'main()' > $(BIN)/hub && chmod +x $(BIN)/hub
	@touch $@

# A peer in the benchmarks only, with versions of its own.
$(VENV)/dlt/.made: tests/bench/peers/dlt.txt | $(BIN)/pip
	$(PYTHON) -m venv $(VENV)/dlt
	$(VENV)/dlt/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --only-binary :all: -r $<
	@touch $@

$(VENV)/.checks: requirements-dev.txt $(VENV)/.runtime
	$(PIP) -r requirements-dev.txt
	@touch $@
