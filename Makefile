# Two commands matter: `make demo` shows it all at work, `make test` proves it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv/bin
PYTHON ?= python3
NETWORK ?= sipp
export PYTHON

.PHONY: help install demo test run lab lab-down lab-status lint types unit e2e simulate bench bench-calls eval images compose-test protos protos-check breaking lock

help:  ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install:  ## Make .venv with the five services (called by all below)
	@scripts/install.sh

demo: install  ## Dial a small campaign through a real Asterisk to simulated customers
	@$(VENV)/python -m lab.demo

test: install  ## Lint, types, unit, contract and end-to-end tests
	@scripts/test.sh

run: install  ## Run the five services with what .env (or ENV_FILE=path) says, until Ctrl-C
	@exec $(VENV)/python -m servicekit.supervisor

lab: install  ## Start Asterisk and the simulated phone network (NETWORK=none: Asterisk alone)
	@$(VENV)/python -m lab up --network $(NETWORK)

lab-down: install  ## Stop them
	@$(VENV)/python -m lab down

lab-status: install  ## Say what of the lab runs where
	@$(VENV)/python -m lab status

lint: install  ## Ruff, import contracts, buf, stale generated code
	@scripts/test.sh lint

types: install  ## mypy --strict
	@scripts/test.sh types

unit: install  ## Tests without Asterisk
	@scripts/test.sh unit

e2e: install  ## Tests against the real Asterisk
	@scripts/test.sh e2e

simulate: install  ## Dial a million simulated calls and judge each (ATTEMPTS=n, SEED=n, DATABASE=postgresql)
	@PYTHONPATH=tests $(VENV)/python -m simulation --attempts $(or $(ATTEMPTS),1000000) \
		$(if $(SEED),--seed $(SEED)) --database $(or $(DATABASE),sqlite)

bench: install  ## Measure claims, results and deliveries on both databases, and what a reply costs
	@PYTHONPATH=tests $(VENV)/python -m bench

eval: install  ## Measure what is understood, by filter chain and noise (ARGS="--quick", "--help")
	@PYTHONPATH=tests $(VENV)/python -m evaluation $(ARGS)

bench-calls: install  ## Measure what a call costs: 1,000 at once on a simulated ARI, then beside Asterisk
	@PYTHONPATH=tests $(VENV)/python -m bench_calls simulated
	@PYTHONPATH=tests $(VENV)/python -m bench_calls real --highest
	@PYTHONPATH=tests $(VENV)/python -m bench_calls turns
	@PYTHONPATH=tests $(VENV)/python -m bench_calls barge-in

images:  ## Build the container images and print their sizes
	@scripts/images.sh

compose-test: install  ## Run the compose project on a Docker Engine, and kill each of its containers
	@scripts/test.sh compose

protos: install  ## Regenerate the stubs under protos/gen
	@scripts/protos.sh

protos-check: install  ## Fail when the committed stubs are stale
	@scripts/protos.sh --check

breaking: install  ## Fail when the contracts break those of AGAINST (default: the main branch)
	@cd protos && ../$(VENV)/buf breaking --against '../.git#branch=$(or $(AGAINST),main),subdir=protos'

lock: install  ## Resolve dependencies anew and write requirements/*.txt
	@scripts/lock.sh --upgrade
