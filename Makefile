# make install | test | faults | demo | ui | bench | bench-validation | bench-synchronization | bench-sqlserver | clean

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Of `make bench` and `make bench-validation`: the scale factor of TPC-H, and how often each contestant has its turn.
SF     ?= 1
ROUNDS ?= 3
PEERS  := .migration/benchmark/environments

# Dagster's instance is described by dagster.yaml here; all state goes below MIGRATION_HOME.
export DAGSTER_HOME       := $(CURDIR)
export MIGRATION_HOME     := $(CURDIR)/.migration
export DAGSTER_DEPLOYMENT := local
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install test faults demo ui bench bench-validation bench-synchronization bench-sqlserver clean

help:
	@echo 'make install   a virtual environment in $(VENV) with all that the demo needs'
	@echo 'make test      linters, types, import contracts and tests; SLOW=1 for the slow ones too'
	@echo 'make faults    240 runs that are killed, cut off or starved in the middle, each healed by the run after it'
	@echo 'make demo      migrate a PostgreSQL database of public flight data, and report'
	@echo 'make ui        the Dagster UI, with the demo as its source; Ctrl-C stops both'
	@echo 'make bench     this program beside its peers, into docs/benchmarks.md; SF=1 is the scale factor, ROUNDS=3'
	@echo 'make bench-validation   its validation beside its peers, into docs/validation-benchmarks.md; SF and ROUNDS as well'
	@echo 'make bench-synchronization   keeping a table in step, beside dlt, into docs/synchronization-benchmarks.md'
	@echo 'make bench-sqlserver         from the SQL Server that SOURCE_SQLSERVER_* names, into docs/sqlserver-benchmarks.md'
	@echo 'make clean     remove the environment and all state'

install: $(VENV)/.installed-demo

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadgroup $(if $(SLOW),--slow) $(PYTEST_ARGUMENTS)

faults: $(VENV)/.installed-test
	$(BIN)/pytest migration_assets_tests/faults --slow -n auto --maxprocesses 4 $(PYTEST_ARGUMENTS)

demo: install
	$(BIN)/python -m demo run

ui: install
	$(BIN)/python -m demo ui

bench: $(VENV)/.installed-bench $(patsubst benchmarks/peers/requirements-%.txt,$(PEERS)/%/.installed,$(filter-out %-reladiff.txt %-sqlserver.txt,$(wildcard benchmarks/peers/requirements-*.txt)))
	$(BIN)/python -m benchmarks.data_path --scale-factor $(SF) --rounds $(ROUNDS) $(BENCH_ARGUMENTS)

bench-validation: $(VENV)/.installed-bench $(PEERS)/reladiff/.installed
	$(BIN)/python -m benchmarks.validation --scale-factor $(SF) --rounds $(ROUNDS) $(BENCH_ARGUMENTS)

bench-synchronization: $(VENV)/.installed-bench $(PEERS)/arrow/.installed
	$(BIN)/python -m benchmarks.synchronization --scale-factor $(SF) $(BENCH_ARGUMENTS)

bench-sqlserver: $(VENV)/.installed-bench $(PEERS)/sqlserver/.installed
	$(BIN)/python -m benchmarks.sqlserver --rounds $(ROUNDS) $(BENCH_ARGUMENTS)

# The server's user is another one when root runs it, so it is stopped before its folder goes.
clean:
	if [ -x $(BIN)/python ] && [ -d .migration/demo ]; then $(BIN)/python -m demo stop; fi
	rm -rf $(VENV) .migration .logs_queue logs history schedules storage *.egg-info build dist \
		.mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed again only when what is required changed.
$(VENV)/.installed-%: pyproject.toml setup.py migration_assets/resources/sources/copy_binary.c | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@
	[ $* = demo ] || touch $(VENV)/.installed-demo

# Each peer in an environment of its own: they need releases of the same packages that exclude each other.
$(PEERS)/%/.installed: benchmarks/peers/requirements-%.txt | $(BIN)/python
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --requirement $<
	[ $* != ingestr ] || $(@D)/bin/ingestr --version || true  # downloads the program, which no round should measure
	touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON); install Python 3.10 to 3.14, or name it: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' \
		|| { echo "error: $$($(PYTHON) --version) is not 3.10 to 3.14; name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "error: $(PYTHON) can't make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
