# frbias: everything a newcomer needs is `make demo` and `make test`.
# Both set up .venv themselves; nothing is installed outside it.

PYTHON ?= python3
VENV   ?= .venv
NEWEST ?= .venv-newest
OUT    ?= demo-out
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.frbias-ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long test-newest lint typecheck format bench faults faults-long bill dependencies docs thesis thesis-dry thesis-cusp thesis-eg3d \
  release-check clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with frbias and everything it needs (torch for CPU or CUDA, whichever is right)

$(STAMP): pyproject.toml constraints.txt tools/setup_environment.py
	$(PYTHON) tools/setup_environment.py --venv $(VENV)
	@touch $(STAMP)

demo: $(STAMP) ## Run the whole experiment, small, into $(OUT)/ (about 4 minutes on 2 cores, and 2 of set-up)
	$(BIN)/frbias demo --out $(OUT)

test: $(STAMP) ## Run the test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadgroup -q --durations=12

test-long: $(STAMP) ## Run the long tests that `make test` leaves out (run and demo under torchrun, whole grids, ...)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadgroup -q -m long --durations=12

test-newest: ## Run the test suite in $(NEWEST) with the newest versions that pyproject.toml allows (torch: the pinned one)
	$(PYTHON) tools/setup_environment.py --venv $(NEWEST) --newest
	OMP_NUM_THREADS=1 $(NEWEST)/bin/python -m pytest -n auto --dist loadgroup -q --durations=12

lint: $(STAMP) ## Check style and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

typecheck: $(STAMP) ## Check types (strict)
	$(BIN)/mypy

format: $(STAMP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

faults: $(STAMP) ## Kill, damage, mutate and lie (some minutes); fails at the first thing lost
	PYTHONPATH=tools OMP_NUM_THREADS=1 $(BIN)/python -m faults --json faults.json

faults-long: $(STAMP) ## The same at every file operation, with 100,000 pictures and all of the rest (hours)
	PYTHONPATH=tools OMP_NUM_THREADS=1 $(BIN)/python -m faults --long --json faults.json

bill: $(STAMP) ## Write sbom.json, a list of the packages in $(VENV) (no network)
	$(BIN)/python tools/bill.py

dependencies: $(STAMP) ## Write sbom.json and ask the package index for known vulnerabilities (needs the network)
	$(PYTHON) tools/dependencies.py --python $(BIN)/python $(WHERE_POSSIBLE)

thesis: $(STAMP) ## CUSP and EG3D-Age faces -> ArcFace R50 -> FG-NET -> GARBE, in one table (says what it lacks)
	$(BIN)/frbias run experiments/thesis.toml --out experiment-thesis

thesis-dry: $(STAMP) ## The same stages with tiny networks and a stand-in for FG-NET (a minute or two, nothing to download)
	$(BIN)/frbias run experiments/thesis-dry.toml --out experiment-thesis-dry --jobs 2

thesis-cusp: $(STAMP) ## CUSP faces -> ArcFace R50 -> FG-NET -> GARBE (says what it lacks)
	$(BIN)/frbias run experiments/thesis-cusp.toml --out experiment-cusp

thesis-eg3d: $(STAMP) ## EG3D-Age faces -> ArcFace R50 -> FG-NET -> GARBE (says what it lacks)
	$(BIN)/frbias run experiments/thesis-eg3d.toml --out experiment-eg3d

docs: $(STAMP) ## Build the documentation into site/ (strict: a broken link fails)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(STAMP) ## Run the benchmarks (ratios against a floor or a peer in the same run; about 20 minutes)
	$(BIN)/python tools/setup_peers.py
	@missed=0; for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || missed=1; done; exit $$missed

release-check: $(STAMP) ## Build wheel and sdist, install them into clean environments and use them (needs a registry)
	$(BIN)/python tools/check_release.py

clean: ## Remove the environment, caches and demo output
	rm -rf $(VENV) $(NEWEST) .peers .dependencies sbom.json $(OUT) experiment-* site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
