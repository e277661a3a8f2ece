# Two commands on a fresh machine: `make demo` and `make test`. Each makes what it needs.
#   make demo [FILE=path]   the main job, on real files        make check    lint and types
#   make test               every law                           make format   format the sources
#   make soak               the same laws, the large numbers    make mutants  which changes would no test notice?
#   make bench              which part size? minutes            make clean    forget the environment
#   make bench-full         the same, all links: hours
# `make bench` writes to BENCH, and goes on with what it finds there. PYTHON names the interpreter the environment is made with (3.11 to 3.13); VENV where it is put.

PYTHON ?= python3
VENV ?= .venv
FILE ?=
BENCH ?= bench
BIN = $(VENV)/bin
# Three at a time on two processors, as many tests wait; a file stays in one process: what it sets up is set up once.
SIDE_BY_SIDE = -n 3 --dist loadfile

.PHONY: demo test soak check format mutants bench bench-full clean

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

STUDY = @mkdir -p $(BENCH) && $(BIN)/python -m benchmarks
FOUR_LINKS = --links lan,region,cross-region,home

bench: $(VENV)/.bench
	$(STUDY).parallel_parts --rounds 2 --out $(BENCH)/parallel_parts.jsonl
	$(STUDY).parallel_parts --parts-mib 8 --in-flight 16 --rounds 2 $(FOUR_LINKS) --out $(BENCH)/defaults.jsonl
	$(STUDY).part_sizing --sizes-mib 1,4,16,64,256 --parts-mib 1,4,8,16 --rounds 2 --out $(BENCH)/part_sizing.jsonl
	$(STUDY).streams --sizes-mib 64 --memory-mib 32,64,128 --links region,cross-region --out $(BENCH)/streams.jsonl
	$(STUDY).peers --rounds 2 --out $(BENCH)/peers.jsonl
	@$(MAKE) --no-print-directory bench-page

bench-full: $(VENV)/.bench
	$(STUDY).parallel_parts --sizes-mib 64,256 --schemes http,https $(FOUR_LINKS) --out $(BENCH)/parallel_parts-full.jsonl
	$(STUDY).part_sizing --sizes-mib 1,4,16,64,256,1024,10240 $(FOUR_LINKS) --out $(BENCH)/part_sizing-full.jsonl
	$(STUDY).streams --sizes-mib 64,256,1024 $(FOUR_LINKS) --out $(BENCH)/streams-full.jsonl
	$(STUDY).peers --sizes-mib 64,256 --schemes http,https $(FOUR_LINKS) --out $(BENCH)/peers-full.jsonl
	@$(MAKE) --no-print-directory bench-page

.PHONY: bench-page
bench-page:
	$(BIN)/python -m benchmarks.report $(BENCH)/*.jsonl --html $(BENCH)/report.html --markdown $(BENCH)/report.md
	@echo "The page is $(BENCH)/report.html"

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "storage-guard needs Python 3.11 or newer; say which: make PYTHON=/path/to/python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[oss,s3]'
	@touch $@

$(VENV)/.bench: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[bench,s3]'
	@touch $@ $(VENV)/.core

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.core
