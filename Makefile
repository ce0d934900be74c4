# Each target works alone on a machine that has make, Python 3.11 or newer and pip.
# `make PYTHON=/path/to/python3.11 test` chooses another interpreter.

BIN := .venv/bin
READY := .venv/.ready
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$python -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: help demo test lint bench reliability clean

help:
	@echo "make demo         label an example with a simulated judge and show the report"
	@echo "make test         run the tests"
	@echo "make lint         check format, style and types"
	@echo "make bench        measure speed"
	@echo "make reliability  run the long campaigns: kills, power cuts, soak"
	@echo "make clean        remove .venv, caches and build products"

demo: $(READY)
	$(BIN)/judge demo

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python tests/benchmarks/run.py

reliability: $(READY)
	$(BIN)/python -m pytest -m reliability -o faulthandler_timeout=900

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so that a broken installation is repeated. Debian's python3 may lack
# ensurepip: then the system's pip fills the environment. No build isolation: it would install a
# build backend that no constraint pins.
$(READY): pyproject.toml constraints.txt
	@"$(PYTHON)" -c '$(IS_NEW_ENOUGH)' 2>/dev/null || { echo "Python 3.11 or newer is needed" \
		"and none was found; install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Preparing .venv (once; about a minute) ..."
	@"$(PYTHON)" -m venv .venv >/dev/null 2>&1 || { "$(PYTHON)" -m venv --clear --without-pip .venv \
		&& "$(PYTHON)" -m pip --python $(BIN)/python install --quiet --constraint constraints.txt pip; }
	@$(INSTALL) --upgrade pip
	@$(INSTALL) --group dev
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@
