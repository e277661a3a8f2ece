# Two commands on a fresh machine: `make demo` and `make test`. Each makes what it needs.
#   make demo [FILE=path]   the main job, on real files        make check    lint and types
#   make test               every law                           make format   format the sources
#   make soak               the same laws, the large numbers    make mutants  which changes would no test notice?
#                                                               make clean    forget the environment
# PYTHON names the interpreter the environment is made with (3.11 to 3.13); VENV where it is put.

PYTHON ?= python3
VENV ?= .venv
FILE ?=
BIN = $(VENV)/bin
# A file of tests stays in one process: what it sets up is set up once.
SIDE_BY_SIDE = -n auto --maxprocesses 4 --dist loadfile

.PHONY: demo test soak check format mutants clean

demo: $(VENV)/.core
	$(BIN)/python -m storage_guard.demo $(if $(FILE),'$(FILE)')

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

soak: $(VENV)/.dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --soak -m soak -o timeout=3600

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

mutants: $(VENV)/.dev
	$(BIN)/python tests/mutation/run.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "storage-guard needs Python 3.11 or newer; say which: make PYTHON=/path/to/python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[oss,s3]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.core
