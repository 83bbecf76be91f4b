# Every target does its own set-up; a second run finds it done. `make` alone lists them.
#
# PYTHON makes the environments (3.11 or newer); JOBS is up to make: nothing here runs twice at once.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
CLIENTS := .venv-clients
AZURITE := .azurite
# Most tests wait for a daemon, a clock or a client; the tests of a file stay together, with what they share.
AT_ONCE := -n 3 --dist loadfile
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test test-root test-as-user check fuzz lint types bench soak clients clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.ready ## a broker, two made-up clouds and unchanged programs, in under three minutes
	$(VENV)/bin/python -m tests.demo

test: $(VENV)/.ready $(CLIENTS)/.ready $(AZURITE)/.ready ## all tests; as root also those that need root
	@tests/system-packages systemd-analyze systemd-socket-activate
	$(VENV)/bin/python -m pytest $(AT_ONCE) -m "not root"
	@if [ "$$(id -u)" = 0 ]; then $(MAKE) --no-print-directory test-root; fi

test-root: $(VENV)/.ready ## only the tests that need root
	@tests/system-packages nft ip systemd-socket-activate
	$(VENV)/bin/python -m pytest -m root

test-as-user: $(VENV)/.ready ## as root: the tests again as an ordinary user, in a copy of the tree
	@tests/system-packages systemd-analyze systemd-socket-activate
	tests/as-user $(VENV)/bin/python -m pytest $(AT_ONCE) -m "not root and not clients"

check: lint types test ## what CI asks: lint, types, tests

fuzz: $(VENV)/.ready ## raw bytes at a running worker plane; CREDBROKER_FUZZ=100000 connections, or as many as are named
	CREDBROKER_FUZZ=$${CREDBROKER_FUZZ:-100000} $(VENV)/bin/python -m pytest tests/faults/test_fuzz.py

lint: $(VENV)/.ready ## ruff: rules and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.ready ## mypy, strict
	$(VENV)/bin/mypy

bench: $(VENV)/.ready ## speed and memory beside nginx, as ratios
	@tests/system-packages nginx wrk
	$(VENV)/bin/python -m tests.bench

soak: $(VENV)/.ready ## a simulated year of faults, then the tables of docs/reliability.md; SOAK="--years 5" for more
	$(VENV)/bin/python -m tests.simulator $(SOAK)

clients: $(CLIENTS)/.ready $(AZURITE)/.ready ## the environments of the unchanged clients: boto3, AWS CLI, pyarrow, gcsfs, ..., and Azurite

clean: ## remove the environments and what tools left behind
	rm -rf $(VENV) $(CLIENTS) $(AZURITE) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip knows dependency groups from 25.1 on, so pip comes first, in its own pinned version.
$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "credbroker needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP_INSTALL) -c constraints.txt pip
	$(VENV)/bin/python $(PIP_INSTALL) -c constraints.txt --build-constraint constraints.txt --group dev -e .
	@touch $@

$(CLIENTS)/.ready: tests/clients/requirements.txt tests/clients/alone.txt tests/clients/constraints.txt constraints.txt
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python $(PIP_INSTALL) -c constraints.txt pip
	$(CLIENTS)/bin/python $(PIP_INSTALL) -c tests/clients/constraints.txt -r tests/clients/requirements.txt
	$(CLIENTS)/bin/python $(PIP_INSTALL) --no-deps -c tests/clients/constraints.txt -r tests/clients/alone.txt
	@touch $@

# Its package-lock.json pins every package by its hash; nothing that they bring is run to install them.
$(AZURITE)/.ready: tests/clients/azurite/package.json tests/clients/azurite/package-lock.json
	@tests/system-packages node npm
	mkdir -p $(AZURITE)
	cp tests/clients/azurite/package.json tests/clients/azurite/package-lock.json $(AZURITE)/
	npm ci --prefix $(AZURITE) --ignore-scripts --omit=dev --omit=optional --no-audit --no-fund --silent
	@touch $@
