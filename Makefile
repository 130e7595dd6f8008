# Everything here sets up what it needs in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# tests wait for processes most of the time, so there is work for twice as many as there are cores
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')

# without bytecode files every worker, and each process that tests start, compiles everything anew
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-fast stand-ins lint format figures sample-report sample-load sample-users clean

help: ## Show these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "perfkit needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: $(VENV)/.installed ## The main job on the embedded default: seed, index, measure, report
	$(BIN)/perfkit run

test: $(VENV)/.installed-dev ## Run the tests
	$(BIN)/python -m pytest -n $(WORKERS)

test-fast: $(VENV)/.installed-dev ## Run those that start no process, server or browser
	$(BIN)/python -m pytest -n logical -m "not processes" --hypothesis-profile fast

# in an environment of its own, because it wants one certain botocore; from npm comes what package.json says
$(VENV)/.stand-ins: package.json $(VENV)/.installed-dev
	$(PYTHON) -m venv $(VENV)/ministack
	$(VENV)/ministack/bin/python -m pip install --quiet --disable-pip-version-check ministack==1.5.33
	npm install --silent --no-package-lock --no-audit --no-fund
	@touch $@

stand-ins: $(VENV)/.stand-ins ## Install engines and SDKs of others that tests hold perfkit against: ministack; dynalite and JavaScript (npm)

lint: $(VENV)/.installed-dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## Tidy the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

figures: $(VENV)/.stand-ins ## Measure what tests cannot hold, into benchmarks/results.md; ONLY="startup run" some of it
	$(BIN)/python -m benchmarks $(ONLY)

sample-report: $(VENV)/.installed-dev ## Measure, and write a sample of every report format to reports/
	$(BIN)/python scripts/sample_report.py

sample-load: $(VENV)/.installed-dev ## Load the service, as it is and like AWS, and write a sample of that to reports/ (a quarter of an hour)
	$(BIN)/python scripts/sample_report.py --load

sample-users: $(VENV)/.installed-dev ## Let 200 and 50 users ask the service, and write a sample of that to reports/ (a quarter of an hour)
	$(BIN)/python scripts/sample_report.py --users

clean: ## Remove what perfkit made, and the virtual environment
	if [ -x $(BIN)/perfkit ]; then $(BIN)/perfkit clean --runs --yes; fi
	rm -rf $(VENV) node_modules
