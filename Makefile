# Two commands on a fresh machine: `make demo` and `make test`. Each makes what it needs.
#   make demo [FILE=path]   the main job, on real files        make check    lint and types
#   make test               every law                           make format   format the sources
#   make soak               the same laws, the large numbers    make mutants  which changes would no test notice?
#   make bench              which part size? minutes            make clean    forget the environment
#   make bench-full         the same, all links: four hours
#   make bench-results      what is committed in benchmarks/results: 45 minutes, with nothing else going on
# `make bench` writes to BENCH, and goes on with what it finds there. PYTHON names the interpreter the environment is made with (3.11 to 3.13); VENV where it is put.

PYTHON ?= python3
VENV ?= .venv
FILE ?=
BENCH ?= bench
BIN = $(VENV)/bin
# Three at a time on two processors, as many tests wait; neighbours stay in one process until another has no work left:
# what a file sets up is mostly set up once.
SIDE_BY_SIDE = -n 3 --dist worksteal

.PHONY: demo test soak check format mutants bench bench-full bench-results clean

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

EMPTY =
SPACE = $(EMPTY) $(EMPTY)
COMMA = ,
STUDY = @mkdir -p $(BENCH) && $(BIN)/python -m benchmarks
FOUR_LINKS = --links lan,region,cross-region,home

bench: $(VENV)/.bench
	$(STUDY).parallel_parts --rounds 2 --out $(BENCH)/parallel_parts.jsonl
	$(STUDY).parallel_parts --parts-mib 4,8 --in-flight 8,16 --rounds 2 --links lan,cross-region,home --out $(BENCH)/parallel_parts-others.jsonl
	$(STUDY).part_sizing --sizes-mib 1,4,16,64,256 --parts-mib 1,4,8,16 --rounds 2 --out $(BENCH)/part_sizing.jsonl
	$(STUDY).streams --sizes-mib 64 --memory-mib 32,64,128 --links region,cross-region --out $(BENCH)/streams.jsonl
	$(STUDY).peers --rounds 2 --out $(BENCH)/peers.jsonl
	@$(MAKE) --no-print-directory bench-page

bench-full: $(VENV)/.bench
	$(STUDY).parallel_parts --sizes-mib 64,256 --schemes http,https $(FOUR_LINKS) --out $(BENCH)/parallel_parts-full.jsonl
	$(STUDY).part_sizing --sizes-mib 1,4,16,64,256,1024,10240 $(FOUR_LINKS) --out $(BENCH)/part_sizing-full.jsonl
	$(STUDY).many_objects $(FOUR_LINKS) --out $(BENCH)/many_objects-full.jsonl
	$(STUDY).streams --sizes-mib 64,256,1024 $(FOUR_LINKS) --out $(BENCH)/streams-full.jsonl
	$(STUDY).copies --links lan,region,cross-region --out $(BENCH)/copies-full.jsonl
	$(STUDY).best_again --of $(BENCH)/parallel_parts-full.jsonl,$(BENCH)/copies-full.jsonl --out $(BENCH)/best_again-full.jsonl
	$(STUDY).peers --sizes-mib 64,256 --schemes http,https $(FOUR_LINKS) --out $(BENCH)/peers-full.jsonl
	@$(MAKE) --no-print-directory bench-page

# Long cells have fewer rounds (--enough-s), and what takes longest is left out (--longest-s). An interrupted run goes on. The minutes are those of two processors with nothing else to do.
NEW = $(BENCH)/results
MEASURE = @mkdir -p $(NEW) && $(BIN)/python -m benchmarks
MAPS = $(foreach link,lan region cross-region home,$(NEW)/parallel_parts-$(link).jsonl)

bench-results: $(VENV)/.bench
	$(MEASURE).defaults --links lan,region --sizes-mib 64,256,1024 --out $(NEW)/defaults-near.jsonl  # 2.5 min
	$(MEASURE).defaults --services oss --links cross-region,home --rounds 3 --enough-s 10 --out $(NEW)/defaults-far.jsonl  # 2.5 min
	$(MEASURE).defaults --services s3 --schemes http --links cross-region,home --rounds 3 --enough-s 10 --out $(NEW)/defaults-far-s3.jsonl  # 1 min
	$(MEASURE).parallel_parts --links region --rounds 2 --out $(NEW)/parallel_parts-region.jsonl  # 2 min
	$(MEASURE).parallel_parts --links region --sizes-mib 256 --parts-mib 4,8,16 --in-flight 8,16,32 --rounds 2 --out $(NEW)/parallel_parts-region-256.jsonl  # 0.5 min
	$(MEASURE).parallel_parts --links lan --sizes-mib 64,256 --parts-mib 2,4,8,16 --in-flight 4,8,16,32 --out $(NEW)/parallel_parts-lan.jsonl  # 0.5 min
	$(MEASURE).parallel_parts --links cross-region --parts-mib 2,4,8,16 --in-flight 8,16,32 --rounds 2 --out $(NEW)/parallel_parts-cross-region.jsonl  # 2 min
	$(MEASURE).parallel_parts --links home --parts-mib 2,4,8 --in-flight 4,16 --rounds 1 --out $(NEW)/parallel_parts-home.jsonl  # 1 min
	$(MEASURE).part_sizing --links region --rounds 2 --longest-s 20 --out $(NEW)/part_sizing-region.jsonl  # 2 min
	$(MEASURE).part_sizing --links lan --sizes-mib 1,4,16,64,256,1024,10240 --parts-mib 4,8,16,64 --enough-s 10 --rounds 2 --out $(NEW)/part_sizing-lan.jsonl  # 2 min
	$(MEASURE).many_objects --links lan --rounds 2 --out $(NEW)/many_objects-lan.jsonl  # 1 min
	$(MEASURE).many_objects --links region --enough-s 10 --rounds 2 --out $(NEW)/many_objects-region.jsonl  # 1.5 min
	$(MEASURE).streams --links region,cross-region --memory-mib 64,128 --out $(NEW)/streams.jsonl  # 2 min
	$(MEASURE).copies --links region,cross-region --parts-mib 16,32,64,128 --in-flight 16,64 --rounds 2 --longest-s 20 --out $(NEW)/copies.jsonl  # 2.5 min
	$(MEASURE).best_again --of $(subst $(SPACE),$(COMMA),$(MAPS) $(NEW)/parallel_parts-region-256.jsonl $(NEW)/copies.jsonl) --rounds 9 --enough-s 12 --out $(NEW)/best_again.jsonl  # 2 min
	$(MEASURE).peers --links lan,region,cross-region --schemes http,https --sizes-mib 64,256,1024 --longest-s 6.5 --enough-s 1.5 --out $(NEW)/peers.jsonl  # 19 min
	$(MEASURE).peers --links home --schemes http --sizes-mib 64 --rounds 2 --out $(NEW)/peers-home.jsonl  # 3.5 min
	$(BIN)/python -m benchmarks.report $(NEW)/*.jsonl --html $(NEW)/report.html --markdown $(NEW)/report.md --quoting docs/part-sizing.md
	rm -f benchmarks/results/*
	cp $(NEW)/* benchmarks/results/

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
