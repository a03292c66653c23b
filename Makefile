# AMC Helper. `make demo` and `make test` work on a fresh machine with make and Python 3.11 or newer.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
# Parallel test processes; e.g. `make test JOBS=4`.
JOBS ?= 2
# What to test instead of everything: files, folders or tests (path::Class::test).
ONLY ?=
# Not empty: `make test` measures what it covers, which costs half as much again on Python 3.11.
COVERAGE ?=
# Percent of lines that the whole suite covers at least.
COVERAGE_FLOOR := 97
TEST_DATABASE_URL ?= postgres://postgres@127.0.0.1:5432/postgres
TEST_REDIS_URL ?= redis://127.0.0.1:6379
BIOME = $(BIN)/node node_modules/@biomejs/biome/bin/biome
# One lock for every Python and machine we support: all files of a release, with their hashes.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-config --custom-compile-command "make lock"

# A measurement of tests that failed is no measurement.
.DELETE_ON_ERROR:
.PHONY: help install install-dev lock demo test test-dates lint lint-html check format test-services e2e e2e-repeat \
	bench load campaign corpus clean

help:
	@sed -n 's/^## //p' Makefile

PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

$(VENV)/.installed: requirements.lock
	@[ -n "$(PYTHON)" ] || { echo "AMC Helper needs Python 3.11 or newer." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -r requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(PIP_INSTALL) -r requirements-dev.lock
	@touch $@

# Biome, for our JavaScript and CSS; node and npm come from the virtual environment.
node_modules/.installed: package-lock.json $(VENV)/.installed-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm ci --ignore-scripts --no-audit --no-fund --loglevel error
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

## make test           install and run the whole test suite (SQLite, no services needed); ONLY=path runs a part
test: install-dev
	$(BIN)/pytest -n $(JOBS) $(if $(COVERAGE),--cov --cov-report=) $(ONLY)

## make test-dates     the suite with the clock moved to ten unlike days (10 × make test; DAYS="--day 2028-02-29T12:00")
test-dates: install-dev
	$(BIN)/python -m tests.dates $(DAYS) -n $(JOBS) $(ONLY)

## make check          make lint, and the test coverage against its floor
check: lint .coverage
	$(BIN)/coverage report --fail-under $(COVERAGE_FLOOR)

# What the whole suite covered; an older measurement says nothing about newer code.
.coverage: $(wildcard $(shell git ls-files '*.py' pyproject.toml 2>/dev/null))
	$(MAKE) test COVERAGE=1 ONLY=

## make lint           style, types, layers, scripts and style sheets, locks, migrations, deployment settings
lint: install-dev node_modules/.installed lint-html
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIOME) check --error-on-warnings
	$(BIN)/python scripts/check_lock.py
	$(BIN)/python scripts/check_production.py

## make lint-html      templates: formatted, and what djangofmt's rules find
lint-html: install-dev
	$(BIN)/djangofmt --check templates
	$(BIN)/djangofmt check templates

## make format         mend what the formatters and linters can mend
format: install-dev node_modules/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIOME) check --write
	$(BIN)/djangofmt templates
	$(BIN)/djangofmt check --fix templates
	$(BIN)/djangofmt templates

## make lock           write the lock files anew from requirements.txt, requirements-dev.txt and package.json
lock: install-dev
	$(LOCK) --output-file requirements.lock requirements.txt
	$(LOCK) --constraints requirements.lock --output-file requirements-dev.lock requirements-dev.txt
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/npm install --package-lock-only --no-audit --no-fund --loglevel error

# Tests that touch neither a database nor a cache give the same answer on all of them.
PURE := tests/agreement tests/local_amc tests/templates_app/sql tests/executions/results \
	tests/planning/test_windows.py tests/planning/test_recurrence.py tests/planning/test_naming.py tests/instances/amc tests/instances/amc_reporting

## make test-services  the suite on PostgreSQL and Redis (TEST_DATABASE_URL, TEST_REDIS_URL); takes ONLY too
test-services: install-dev
	DATABASE_URL=$(TEST_DATABASE_URL) CACHE_URL=$(TEST_REDIS_URL)/1 CELERY_BROKER_URL=$(TEST_REDIS_URL)/15 \
		$(BIN)/pytest -n $(JOBS) $(or $(ONLY),$(addprefix --ignore=,$(PURE)))

## make e2e            browser tests (needs chromium); takes ONLY too
e2e: install-dev
	$(BIN)/pytest $(or $(ONLY),tests/e2e)

## make e2e-repeat     the browser tests ten times in a row beside two busy processes (REPEAT="--times 3")
e2e-repeat: install-dev
	$(BIN)/python -m tests.e2e.repeat $(REPEAT)

## make bench          benchmarks, printed as ratios
bench: install-dev
	for file in tests/bench/*.py; do [ "$$(basename $$file)" = __init__.py ] || $(BIN)/python $$file; done

## make load           what the product does under far more than one person asks for (minutes; LOAD=slow runs one)
load: install-dev
	$(BIN)/python -m tests.load $(LOAD)

## make campaign       kill workers under 1,000 runs with faults (TEST_DATABASE_URL, TEST_REDIS_URL; minutes)
campaign: install-dev
	TEST_DATABASE_URL=$(TEST_DATABASE_URL) TEST_REDIS_URL=$(TEST_REDIS_URL) $(BIN)/python -m tests.campaign

## make corpus         run the queries of AMC_CORPUS against a local AMC and print the outcomes
corpus: install-dev
	$(BIN)/python -m tests.local_amc.outcomes

clean:
	rm -rf $(VENV) node_modules .coverage staticfiles .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
