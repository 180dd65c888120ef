# Two commands to begin with: `make demo`, `make test`. The rest: `make help`.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# The first interpreter that is new enough.
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# --no-deps: the lock is complete, so pip has nothing to resolve. The project itself is built by the locked hatchling.
INSTALL := $(PIP) install --no-deps --require-hashes -r
INSTALL_SELF := $(PIP) install --no-deps --no-build-isolation --editable .
# One more than there are processors: tests wait for servers and processes of their own. Two more take as long, and load more.
WORKERS ?= $(shell expr $$(nproc 2>/dev/null || sysctl -n hw.ncpu) + 1)

# A worker takes whole files: what a file sets up once is not set up again by each worker. tests/conftest.py has the order.
BY_FILE := --dist loadfile --no-loadscope-reorder
# Tests sync thousands of small files to disk: they are kept in memory where there is room for 4 GB.
IN_MEMORY := $(shell df -k /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 4000000 {print "TMPDIR=/dev/shm"}')

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.runtime ## Install what is needed and run the whole story on real flights
	@$(BIN)/python -m flows.demo

.PHONY: test
test: $(VENV)/.dev ## Run all tests
	@$(IN_MEMORY) $(BIN)/python -m pytest -n $(WORKERS) $(BY_FILE) $(ARGS)

.PHONY: test-fast
test-fast: $(VENV)/.dev ## Run the unit tests that start no server, no process and no dbt; under two minutes
	@$(BIN)/python -m pytest -n $(WORKERS) $(BY_FILE) -m "not (processes or postgres or macros or slow)" tests/unit $(ARGS)

.PHONY: coverage
coverage: $(VENV)/.dev ## Run all tests and report the lines that none ran (less: make coverage ARGS=tests/unit)
	@mkdir -p test-output
	@$(BIN)/python -m pytest -n $(WORKERS) $(BY_FILE) --cov --cov-report=term --cov-report=html $(ARGS)

.PHONY: test-next
test-next: $(VENV)/.next ## Run the tests of the loads on the next dbt-core, 1.12, and DuckDB
	@PYTHONPATH=$(NEXT) $(BIN)/python -c 'from dbt.version import __version__ as v; print("dbt-core", v); assert v.startswith("1.12.")'
	@$(IN_MEMORY) PYTHONPATH=$(NEXT) $(BIN)/python -m pytest -n $(WORKERS) -k "not postgres" $(addprefix tests/macros/test_,histories.py loads.py altered_targets.py consumer_project.py dbt_around_sluice.py) $(ARGS)
NEXT := $(abspath $(VENV)/dbt-next)

.PHONY: test-lake
test-lake: $(VENV)/.s3 ## Run the tests of lake sources in S3, on a simulated one
	@PYTHONPATH=$(S3) $(BIN)/python -m pytest -n $(WORKERS) -m s3 tests/s3 $(ARGS)
S3 := $(abspath $(VENV)/s3)

.PHONY: test-iceberg
test-iceberg: $(VENV)/.iceberg ## Run the tests of Iceberg tables, in a local catalog
	@PYTHONPATH=$(ICEBERG) $(BIN)/python -m pytest -n $(WORKERS) -m iceberg tests/iceberg $(ARGS)
ICEBERG := $(abspath $(VENV)/iceberg)

.PHONY: redshift-suite
redshift-suite: $(VENV)/.dev ## Run dbt-redshift's own tests on the stand-in: SUITE=a checkout of dbt-adapters (an hour; less: ARGS="-k grants")
	@test -n "$(SUITE)" || { echo "Name a checkout of github.com/dbt-labs/dbt-adapters: make redshift-suite SUITE=~/dbt-adapters" >&2; exit 2; }
	@$(BIN)/python -m tests.redshift_standin.suite "$(SUITE)" -- $(ARGS)

.PHONY: lint
lint: $(VENV)/.dev ## Run every linter, change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfmt --check --quiet macros
	$(BIN)/sqlfluff lint dbt_project/transformations
	$(BIN)/sluice lint
	$(BIN)/sluice validate --offline

.PHONY: bench
bench: $(VENV)/.dev ## Measure starting, syncing, gating, loading and orchestration against their targets (many minutes)
	@$(BIN)/python benchmarks/walk.py
	@$(BIN)/python benchmarks/start.py
	@$(BIN)/python benchmarks/sync.py
	@$(BIN)/python benchmarks/pipeline.py
	@$(BIN)/python benchmarks/scd2.py
	@$(BIN)/python benchmarks/scd1.py
	@$(BIN)/python benchmarks/gate.py
	@$(BIN)/python benchmarks/orchestration.py

.PHONY: selects
selects: $(VENV)/.dev ## Load 10,000 random SELECTs by increments and compare what the increment rules say (an hour)
	@PYTHONPATH=. $(BIN)/python benchmarks/selects.py 10000

.PHONY: spark-matrix
spark-matrix: $(VENV)/.dev ## Compare every SELECT shape that may go to Spark with DuckDB, over awkward values (half an hour)
	@PYTHONPATH=. $(BIN)/python -m tests.equality $(ARGS)

.PHONY: spark4-matrix
spark4-matrix: $(VENV)/.spark4 ## The same on Spark 4, which comes into a folder of its own; needs a whole JDK 17 or later, in JAVA_HOME or as java
	@test -x "$(JDK)/bin/java" || { echo "Spark 4 needs a whole JDK 17 or later: set JAVA_HOME" >&2; exit 2; }
	@JAVA_HOME="$(JDK)" SLUICE_SPARK_HOME=$(SPARK4)/pyspark PYTHONPATH=. $(BIN)/python -m tests.equality $(ARGS)
SPARK4 := $(abspath $(VENV)/spark4)
JDK = $(or $(JAVA_HOME),$(patsubst %/bin/java,%,$(realpath $(shell command -v java))))

.PHONY: chaos
chaos: $(VENV)/.dev ## Kill and disturb everything at random for two hours and compare what was loaded (less: make chaos ARGS="--minutes 5")
	@PYTHONPATH=. $(BIN)/python -m tests.chaos $(ARGS)

.PHONY: lakes
lakes: $(VENV)/.dev ## Load 40 random lakes, and 40 on the Redshift stand-in, with killed runs, and compare them with the oracle (an hour; less: SEEDS=5)
	@LAKE_SEEDS=$(SEEDS) LAKE_ROUNDS=6 LAKE_KILLS=3 $(BIN)/python -m pytest -n $(WORKERS) $(LAKES) $(ARGS)
SEEDS ?= 40
LAKES := tests/flows/engine/test_lake_histories.py tests/flows/engine/test_redshift_lake.py

.PHONY: first-runs
first-runs: $(VENV)/.dev ## Start 20 fresh projects beside busy processors and count the first runs in the UI (less: make first-runs ARGS="--count 5")
	@PYTHONPATH=. $(BIN)/python -m tests.chaos.first_runs $(ARGS)

.PHONY: saturation
saturation: $(VENV)/.dev ## Fill all slots of the worker for half an hour and measure how late monitor and heal start (less: ARGS="--minutes 10")
	@PYTHONPATH=. $(BIN)/python -m tests.chaos.saturation $(ARGS)

.PHONY: dist
dist: $(VENV)/.dev ## Build the wheel into dist/; it holds the macros and the files of `sluice init`
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

.PHONY: format
format: $(VENV)/.dev ## Format Python and macros
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfmt --quiet macros

.PHONY: ui
ui: $(VENV)/.runtime ## Start the local Prefect server and say where it is
	@$(BIN)/sluice up

.PHONY: docs
docs: $(VENV)/.dev ## Build the docs site into site/
	$(BIN)/python docs/reference/commands.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "site/index.html"

.PHONY: docs-serve
docs-serve: $(VENV)/.dev ## Show the docs site on this machine while you write
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

.PHONY: lock
lock: $(VENV)/.dev ## Refresh the lock files
	$(BIN)/uv pip compile $(LOCK_OPTIONS) --upgrade --extra build --extra demo -c constraints.txt -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile $(LOCK_OPTIONS) --upgrade --extra build --extra demo --extra postgres --extra redshift --extra aws --extra spark --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	$(BIN)/uv pip compile $(LOCK_OPTIONS) --upgrade --no-deps -o tests/dbt_next/requirements.lock tests/dbt_next/requirements.in
	$(BIN)/uv pip compile $(LOCK_OPTIONS) --upgrade --no-deps -o tests/s3/requirements.lock tests/s3/requirements.in
	$(BIN)/uv pip compile $(LOCK_OPTIONS) --upgrade --no-deps -o tests/iceberg/requirements.lock tests/iceberg/requirements.in
	$(BIN)/uv pip compile $(LOCK_OPTIONS) --upgrade --no-deps -o tests/spark4/requirements.lock tests/spark4/requirements.in
LOCK_OPTIONS := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url

.PHONY: audit
audit: $(VENV)/.dev ## Compare the lock files with known vulnerabilities (needs the network)
	$(BIN)/uv tool run --quiet pip-audit --strict --require-hashes --disable-pip -r requirements.lock
	$(BIN)/uv tool run --quiet pip-audit --strict --require-hashes --disable-pip -r requirements-dev.lock

.PHONY: clean
clean: ## Stop the local server and remove everything that is not in git
	@test ! -x $(BIN)/sluice || $(BIN)/sluice down
	rm -rf $(VENV) .sluice site dbt_project/target dbt_project/logs dbt_project/models/generated

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Sluice needs Python 3.11 or newer; none was found. Name one: make demo PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Creating $(VENV) failed. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing the locked dependencies into $(VENV) (about a minute, once) ..."
	@$(INSTALL) requirements.lock
	@$(INSTALL_SELF)
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "Installing what the tests and linters need ..."
	@$(INSTALL) requirements-dev.lock
	@touch $@

$(VENV)/.s3: tests/s3/requirements.lock $(VENV)/.dev
	@rm -rf $(S3)
	@$(INSTALL) tests/s3/requirements.lock --target $(S3)
	@touch $@

$(VENV)/.iceberg: tests/iceberg/requirements.lock $(VENV)/.dev
	@rm -rf $(ICEBERG)
	@$(INSTALL) tests/iceberg/requirements.lock --target $(ICEBERG)
	@touch $@

$(VENV)/.spark4: tests/spark4/requirements.lock $(VENV)/.dev
	@rm -rf $(SPARK4)
	@$(INSTALL) tests/spark4/requirements.lock --target $(SPARK4)
	@touch $@

$(VENV)/.next: tests/dbt_next/requirements.lock $(VENV)/.dev
	@rm -rf $(NEXT)
	@$(INSTALL) tests/dbt_next/requirements.lock --target $(NEXT)
	@touch $@
