# Everything a newcomer needs is `make demo` and `make test`; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VENV := .venv
BIN := $(VENV)/bin
# Tests often wait for servers: three workers more than there are cores, each with servers of its own.
WORKERS ?= $(shell echo $$(( $$(nproc) < 5 ? $$(nproc) + 3 : 8 )))
PYTEST := TMPDIR=$$(bash .ci/scratch) $(BIN)/pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder
# A stack is six Python programs: without bytecode each compiles half of all packages first.
unexport PYTHONDONTWRITEBYTECODE
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1

.DEFAULT_GOAL := help
.PHONY: help install machine demo up test check format bench chaos soak mutants lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

$(VENV)/.installed: requirements.lock pyproject.toml client/pyproject.toml evidence/verifier/pyproject.toml
	@bash .ci/bootstrap $(VENV)
	@touch $@

install: $(VENV)/.installed ## create .venv with the pinned dependencies (bootstraps uv if missing)

demo: install ## from an empty directory to a verified invoice, then one flipped byte
	@$(BIN)/gpuaas demo

up: install ## the embedded stack until Ctrl-C; prints URL, developer token and vkey
	@$(BIN)/gpuaas up

machine: ## install the programs that runtimes need (Debian, as root), or say which are missing
	@bash .ci/machine

test: install machine ## the whole suite on real PostgreSQL, NATS, Podman and sshd
	@$(PYTEST)

check: install ## format, lint, types, layers, fast tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(PYTEST) -m "not slow" -q

format: install ## rewrite the code in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: install ## measured ratios into build/bench.json
	@$(BIN)/python -m tests.bench

chaos: install ## the long seeded runs
	@$(BIN)/python -m tests.chaos

soak: install ## schemathesis against a living stack, 100,000 cases (CASES, SEED)
	@$(BIN)/python -m tests.soak

mutants: install ## mutation testing of rating, ledger and invoices (mutmut, in a venv of its own)
	@$(BIN)/python -m tests.mutants

lock: ## pin dependencies with hashes (names no registry)
	@$(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate --no-header --universal --python-version 3.12 --extra embedded --extra parquet --extra dev --no-emit-package gpuaas-client --no-emit-package gpuaas-verify pyproject.toml build.in -o requirements.lock

clean: ## remove the virtual environment and build output
	@rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis
