# Everything here builds what it needs first: `make run` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TEST ?= tests
PAGE := collector/wayside_collector/web/page/index.html
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile

.PHONY: setup run fmt check test test-all soak bench clean lock help
.DEFAULT_GOAL := help

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): requirements.txt pyproject.toml client/pyproject.toml
	@echo "building $(VENV) with the pinned dependencies, about a minute"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e client -e .
	@touch $@

# Without Node everything but the page works: a plain one is served in its place.
$(PAGE): page/package-lock.json page/index.html page/vite.config.ts $(shell find page/src -type f)
	@if ! command -v npm >/dev/null; then \
		echo "no npm here: the page is not built, and the collector serves a plain one (Debian: apt-get install npm)"; \
	else \
		echo "building the page"; \
		(cd page && npm ci --loglevel error && npm run --silent build -- --logLevel warn) \
			|| echo "the page could not be built, for the reason above: the collector serves a plain one"; \
	fi

setup: $(READY) $(PAGE) ## build the virtual environment with the pinned dependencies, and the page where npm is

run: $(READY) $(PAGE) ## collector, a real training run of two ranks, the books; serves until Ctrl-C (ONCE=1 stops)
	$(BIN)/python examples/main_job.py $(if $(ONCE),--once)

fmt: $(READY) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	@if [ -d page/node_modules ]; then cd page && npm run --silent fmt; fi

check: $(READY) $(PAGE) ## ruff, mypy strict, import-linter; of the page TypeScript strict, Prettier, and its unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if [ -d page/node_modules ]; then cd page && npm run --silent check && npm test --silent; fi

test: $(READY) $(PAGE) ## the tests, under 15 minutes
	$(PYTEST) -m "not long" $(TEST)

test-all: $(READY) $(PAGE) ## the long ones, too
	$(PYTEST) $(TEST)

soak: $(READY) ## random faults from a seed until 1,000 kills (KILLS=…, SEED=…): nothing lost, nothing doubled; then five minutes of fuzzing
	PYTHONPATH=tests $(BIN)/python -m oracle.soak --kills $(or $(KILLS),1000) $(if $(SEED),--seed $(SEED))
	WAYSIDE_FUZZ_SECONDS=300 $(BIN)/python -m pytest -q -k seconds tests/fuzz

bench: $(READY) ## every number of docs/performance.md, each beside its peer
	$(BIN)/python bench/run.py

lock: ## write requirements.txt anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --extra all --group dev --no-emit-package wayside --no-emit-package wayside-collector pyproject.toml -o requirements.txt

clean:
	rm -rf $(VENV) .wayside .mypy_cache .ruff_cache .pytest_cache
