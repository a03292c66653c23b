# AMC Helper. `make demo` and `make test` work on a fresh machine with Python 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Parallel test processes; e.g. `make test JOBS=4`.
JOBS ?= 2
TEST_DATABASE_URL ?= postgres://postgres@127.0.0.1:5432/postgres
TEST_REDIS_URL ?= redis://127.0.0.1:6379

.PHONY: help install install-dev demo test test-dates check test-services e2e bench campaign corpus clean

help:
	@sed -n 's/^## //p' Makefile

$(VENV)/.installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

.env: | $(VENV)/.installed
	$(BIN)/python scripts/make_env.py

## make demo           start everything on this machine with a local AMC and demo data
demo: install .env
	$(BIN)/python manage.py migrate --verbosity 0
	$(BIN)/python manage.py seed_demo
	$(BIN)/python manage.py seed_templates
	exec env PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/run_processes.py start

## make test           install and run the whole test suite (SQLite, no services needed)
test: install-dev
	$(BIN)/pytest -n $(JOBS)

## make test-dates     the suite with the clock moved to ten unlike days (10 × make test; DAYS="--day 2028-02-29T12:00")
test-dates: install-dev
	$(BIN)/python -m tests.dates $(DAYS) -n $(JOBS)

## make check          style, types, layers, migrations, deployment settings
check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_production.py

# Tests that touch neither a database nor a cache give the same answer on all of them.
PURE := tests/local_amc tests/templates_app/sql tests/executions/results tests/planning/test_windows.py \
	tests/planning/test_recurrence.py tests/planning/test_naming.py tests/instances/amc tests/instances/amc_reporting

## make test-services  the suite on PostgreSQL and Redis (TEST_DATABASE_URL, TEST_REDIS_URL)
test-services: install-dev
	DATABASE_URL=$(TEST_DATABASE_URL) CACHE_URL=$(TEST_REDIS_URL)/1 CELERY_BROKER_URL=$(TEST_REDIS_URL)/15 \
		$(BIN)/pytest -n $(JOBS) $(addprefix --ignore=,$(PURE))

## make e2e            browser tests (needs chromium)
e2e: install-dev
	$(BIN)/pytest tests/e2e

## make bench          benchmarks, printed as ratios
bench: install-dev
	for file in tests/bench/*.py; do [ "$$(basename $$file)" = __init__.py ] || $(BIN)/python $$file; done

## make campaign       kill workers under 1,000 runs with faults (TEST_DATABASE_URL, TEST_REDIS_URL; minutes)
campaign: install-dev
	TEST_DATABASE_URL=$(TEST_DATABASE_URL) TEST_REDIS_URL=$(TEST_REDIS_URL) $(BIN)/python -m tests.campaign

## make corpus         run the queries of AMC_CORPUS against a local AMC and print the outcomes
corpus: install-dev
	$(BIN)/python -m tests.local_amc.outcomes

clean:
	rm -rf $(VENV) staticfiles .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
