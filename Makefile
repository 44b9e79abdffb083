# Everything here works from a clean clone: what a target needs is installed into .venv first.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# What pyproject.toml has compiled: installed anew when one of them changes.
COMPILED := $(shell sed -n 's|^    "/\([a-z_]*/[a-z_]*\.py\)",$$|\1|p' pyproject.toml)
# The tests of what is compiled: they pass with the sources alone, too.
BOTH_FORMS := $(addprefix tests/unit/producer/test_,change_events.py pgoutput.py \
	pgoutput_properties.py row_events_properties.py) tests/architecture/test_compiled.py \
	$(addprefix tests/unit/stitcher_stream/test_,change_records.py stitch.py stitch_properties.py)
PYTEST := $(BIN)/python -m pytest
# How many tests run side by side, each worker on servers of its own.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help up test check faults fuzz differential bench compose-test clean-up

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(INSTALLED) ## Run the whole pipeline and an example site here; Ctrl-C stops it
	@exec $(BIN)/python -m deploy.local up

test: check ## Run all tests, on real PostgreSQL and Kafka
	$(PYTEST) tests --ignore tests/unit --ignore tests/architecture \
		-n $(WORKERS) --dist loadgroup --no-loadscope-reorder --durations=20 --durations-min=15

check: $(INSTALLED) ## Format, lint, types, unit and architecture tests; under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(PYTEST) tests/unit tests/architecture
	BEMI_INTERPRETED=1 $(PYTEST) $(BOTH_FORMS)

faults: $(INSTALLED) ## Kill, cut and restart every part under load, and compare
	$(PYTEST) tests/faults

fuzz: $(INSTALLED) ## Damage the source's messages, for a minute or BEMI_FUZZ_SECONDS
	$(BIN)/python -m tests.fuzz

differential: $(INSTALLED) ## Compare with Debezium, e.g. make differential ARGS="--seed 7 --seconds 600"
	$(BIN)/python -m tests.differential $(or $(ARGS),--seed $(shell date +%s))

bench: $(INSTALLED) ## Measure, e.g. make bench NAME=pipeline ARGS="--rows 100000"
	$(BIN)/python -m bench $(NAME) $(ARGS)

compose-test: $(INSTALLED) ## Bring deploy/compose.yml up in containers and try it; needs root
	BEMI_TEST_COMPOSE=1 $(PYTEST) tests/compose

clean-up: ## Remove what `make up` and the tests keep: .bemi with all databases and topics
	@if [ -d .bemi ]; then $(MAKE) --silent $(INSTALLED) \
		&& $(BIN)/python -m deploy.local clean; fi

# The stamp is written last, so an installation that was interrupted is done again.
# A C compiler makes the producer twice as fast; without one everything is installed as it is.
$(INSTALLED): pyproject.toml constraints.txt django_bemi/pyproject.toml $(COMPILED)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and \
		"Python 3.10 or newer is needed: install it, then make PYTHON=python3.x ...")'
	@echo "installing into .venv; the first time takes about a minute"
	@$(PYTHON) -m venv .venv
	@compiles=$$($(BIN)/python -c 'import pathlib, shutil, sysconfig; \
		header = pathlib.Path(sysconfig.get_path("include"), "Python.h"); \
		print(int(bool(shutil.which("cc")) and header.exists()))'); \
	[ "$$compiles" = 1 ] || { rm -f */*.so *__mypyc*.so; \
		echo "no C compiler, or no headers of Python (python3-dev): nothing is compiled"; }; \
	HATCH_BUILD_HOOK_ENABLE_MYPYC=$$compiles $(BIN)/python -m pip install --quiet \
		--disable-pip-version-check -c constraints.txt -e '.[dev]' -e ./django_bemi
	@touch $@
