# One command for each thing a person wants. Every target makes what it needs, once: .venv from pyproject.toml (scripts/setup.sh)
# and, for browser tests, a Chromium (tests/tooling/chromium.py). Nothing but Python 3.11 or later (with venv), git and make need be there.

.DEFAULT_GOAL := help
# One job at a time: two tests on one machine disturb each other's clocks.
.NOTPARALLEL:

BIN := .venv/bin
PY := $(BIN)/python
DEMO_READY := .venv/.demo-ready
READY := .venv/.ready
BENCH_READY := .venv/.bench-ready
PACKAGE_READY := .venv/.package-ready
PYTEST := $(PY) -m pytest
# The typing ring is checked, not run; errors in the package itself are `make check`'s to report.
TYPING := $(if $(wildcard tests/typing),$(BIN)/mypy --follow-imports silent --cache-dir build/mypy-typing tests/typing)
LINTED := flyte_nb tests scripts $(wildcard notebooks)
# What `make test ARGS="-k lost_worker"` adds to pytest's command line.
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# The interpreter for a new .venv; empty: the newest found.
export PYTHON

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## /\1 /p' $(MAKEFILE_LIST) | while read -r name text; do printf '  make %-16s %s\n' "$$name" "$$text"; done

# Whoever only wants to see it need not wait for the tools.
$(DEMO_READY): pyproject.toml scripts/setup.sh
	@sh scripts/setup.sh demo $@

$(READY): $(DEMO_READY)
	@sh scripts/setup.sh demo,test $@

.PHONY: setup
setup: $(READY) ## make .venv (every other target does it when needed)

.PHONY: demo
demo: $(DEMO_READY) ## run the main job, notebooks/quickstart.ipynb, on the embedded cluster
	@$(PY) scripts/demo.py

.PHONY: lab
lab: $(DEMO_READY) ## open the quickstart in JupyterLab
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --LabApp.default_url=/lab/tree/notebooks/quickstart.ipynb $(ARGS)

.PHONY: check
check: $(READY) ## format, lint, imports, types, unit and contract tests: under a minute
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/ruff check $(LINTED)
	$(BIN)/lint-imports --no-logo --cache-dir build/import-linter
	$(BIN)/mypy
	$(BIN)/interrogate tests || { $(BIN)/interrogate -vv tests | grep -E 'MISSED|_.*[.]py'; exit 1; }
	$(PYTEST) -m "not slow" -q $(wildcard tests/unit tests/contract) tests/test_architecture.py tests/test_docs.py $(ARGS)

.PHONY: test
test: $(READY) ## every ring of tests; ARGS="-k lost_worker" goes to pytest
	@$(PY) -m tests.tooling.chromium
	$(TYPING)
	$(PYTEST) -m "not slow" tests $(ARGS)

.PHONY: test-all
test-all: $(READY) $(PACKAGE_READY) ## `make test` and the slow tests
	@$(PY) -m tests.tooling.chromium
	$(TYPING)
	$(PYTEST) tests $(ARGS)

.PHONY: test-unit test-contract test-properties test-cluster test-notebook
test-unit: $(READY) ## one ring: pure code
test-contract: $(READY) ## one ring: every implementation of a port
test-properties: $(READY) ## one ring: random events and faults
test-cluster: $(READY) ## one ring: real worker processes
test-notebook: $(READY) ## one ring: a real kernel
test-unit test-contract test-properties test-cluster test-notebook:
	$(PYTEST) -m "not slow" tests/$(subst test-,,$@) $(ARGS)

.PHONY: test-browser
test-browser: $(READY) ## one ring: a real JupyterLab in a headless Chromium
	@$(PY) -m tests.tooling.chromium
	$(PYTEST) -m "not slow" tests/browser $(ARGS)

.PHONY: conformance
conformance: $(READY) ## Flyte 2 conformance suite in a folder: make conformance SUITE=<folder>
	@test -f "$(SUITE)/run.py" || { echo 'Name the suite: make conformance SUITE=<folder with run.py>' >&2; exit 2; }
	$(PY) -m scripts.conformance "$(SUITE)" $(ARGS)

# What `make bench` needs beside the tests' tools; peers that are asked for with PEERS=ray,flyte are not installed, but it says how to.
$(BENCH_READY): $(READY)
	@$(PY) -m pip install --quiet --editable '.[bench]' && touch $@

.PHONY: bench
bench: $(BENCH_READY) ## measure beside peers, on an idle machine (12 minutes); ARGS="--quick", ARGS="--only B1a,B5", PEERS=ray,flyte
	@$(PY) -m scripts.bench $(if $(PEERS),--peers $(PEERS)) $(ARGS)

# What builds and examines packages; the rest of the tests need none of it.
$(PACKAGE_READY): $(DEMO_READY)
	@$(PY) -m pip install --quiet --editable '.[package]' && touch $@

.PHONY: wheel
wheel: $(PACKAGE_READY) ## build dist/: the source distribution, and from it the wheel
	@rm -rf dist && mkdir -p build
	@$(PY) -m build --outdir dist . >build/wheel.log 2>&1 || { cat build/wheel.log; exit 1; }
	@$(PY) -m twine check --strict dist/*

.PHONY: docs
docs: $(READY) ## redraw what the documentation shows of the code
	$(PY) -m scripts.phase_diagram
	$(PY) -m scripts.failures_table
	$(PY) -m scripts.mistakes_table
	$(PY) -m scripts.reference
	$(PY) -m scripts.readme_tables

.PHONY: binder-check
binder-check: $(READY) $(PACKAGE_READY) ## run the notebooks in what Binder would build, without Docker; ARGS=--write-docs keeps the figures
	@$(PY) -m tests.tooling.chromium
	@$(PY) -m scripts.binder $(ARGS)

.PHONY: pictures
pictures: $(READY) ## take the README's pictures of the live view anew
	@$(PY) -m tests.tooling.chromium
	@$(PY) -m scripts.view_picture

.PHONY: notebooks
notebooks: $(READY) ## execute the notebooks and store what they showed
	$(PY) -m scripts.store_outputs $(ARGS)

.PHONY: format
format: $(READY) ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix-only $(LINTED)
	$(BIN)/ruff format $(LINTED)

.PHONY: clean
clean: ## remove .venv and everything that make and the tools made
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
