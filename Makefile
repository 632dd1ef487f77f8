# Every target sets up what it needs: a machine with Python 3.11 or newer is enough.

.DEFAULT_GOAL := help

# The first interpreter that is new enough and can make an environment. `make PYTHON=... test` overrules it.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& echo $$python && break; done)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST_ARGS ?= -n auto --maxprocesses 8

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The probe must know each of these; every one gets an environment, which tests/environments.py finds.
SQLALCHEMY := 1.3.24 1.4.54 2.0.58 2.1.9
ENVIRONMENTS := $(SQLALCHEMY:%=.cache/venvs/%/.ready)

.PHONY: help bench bench-compare venv environments lint format typecheck test peer-suite demo picture docs clean kill fuzz coverage mutation matrix ecosystem

help:  ## Show this list
	@awk -F ':.*  ## ' '/^[a-z]+:.*  ## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(READY)  ## Make .venv, with backpop and its development tools in it

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "backpop needs Python 3.11 or newer with venv; none was found" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

environments: $(ENVIRONMENTS)  ## Make one environment for each line of SQLAlchemy

# All with the Python of .venv: one Python on the machine is enough.
.cache/venvs/%/.ready: | $(READY)
	@rm -rf $(@D)
	$(BIN)/python -m venv --without-pip $(@D)
	$(BIN)/python -m pip --python $(@D)/bin/python install --quiet 'SQLAlchemy==$*'
	@touch $@

lint: $(READY)  ## Check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(READY)  ## Fix what can be fixed, and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

typecheck: $(READY)  ## Check the types of the package and of the tests
	@mkdir -p .typing/backpop
	@ln -sfn ../../cli .typing/backpop/cli
	@ln -sfn ../../codemods .typing/backpop/codemods
	$(BIN)/mypy -p backpop
	$(BIN)/mypy tests

test: lint typecheck environments  ## Lint, check types and run the tests
	$(BIN)/pytest $(PYTEST_ARGS)

peer-suite: $(READY)  ## Convert SQLAlchemy's own ORM tests, and run them before and after (some minutes)
	@$(BIN)/python benchmarks/peer_suite.py

kill: $(READY)  ## Disturb --write 500 times (RUNS=...): kill it, or with TWICE=1 start it twice
	$(BIN)/python tests/kill.py --runs $(or $(RUNS),500) $(if $(TWICE),--twice)

fuzz: $(READY)  ## Convert 200,000 mutated projects (RUNS=... CORPUS=folders)
	$(BIN)/python tests/fuzz.py --runs $(or $(RUNS),200000) $(if $(CORPUS),--corpus $(CORPUS))

coverage: environments  ## Run the tests and show what of the library no test runs: a twentieth at most
	$(BIN)/pytest $(PYTEST_ARGS) --cov='$(CURDIR)/codemods' --cov-report=term-missing:skip-covered --cov-fail-under=95

mutation: $(READY)  ## Is there a test for each rule? (MODULES="plan/move plan/joins" SAMPLE=40 SEED=1)
	$(BIN)/python -m pip install --quiet --editable '.[mutation]'
	$(BIN)/python tests/mutation.py $(MODULES) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

matrix: $(READY)  ## Run the tests under every Python, and against every SQLAlchemy, that is here
	@PYENV_VERSION="$${PYENV_VERSION:-$$(pyenv versions --bare 2>/dev/null | paste -sd : -)}" $(BIN)/nox

bench: $(READY)  ## Measure whole runs beside other tools; QUICK=1 for a short look
	$(BIN)/python benchmarks/bench.py $(if $(QUICK),--quick)

bench-compare: $(READY)  ## Measure against another revision: BASE=main
	@test -n "$(BASE)" || { echo "make bench-compare BASE=revision" >&2; exit 2; }
	$(BIN)/python benchmarks/bench.py --base "$(BASE)" $(if $(QUICK),--quick)

demo: $(READY)  ## See it at work on a small project
	@$(BIN)/python examples/demo.py

picture: $(READY)  ## Record the picture in the README again
	$(BIN)/python examples/picture.py docs/terminal.svg

docs: $(READY)  ## Build the documentation into build/site; a warning is an error
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

ecosystem: $(READY)  ## Convert released packages (VERIFY=1: also map them; RECORD=1: write the table; ONLY="...")
	$(BIN)/python tests/ecosystem.py $(if $(VERIFY),--verify) $(if $(RECORD),--record) $(ONLY)

clean:  ## Remove everything that the other targets made
	rm -rf $(VENV) .cache .nox .typing .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist backpop.egg-info
	find cli codemods tests examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
