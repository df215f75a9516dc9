# Everything installs into .venv, through pip, with the versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
PHOTOS ?=

.PHONY: demo test test-slow check lint bench presentation clean

demo: .venv/base  ## grays and colours photographs with the bundled model, into Results/demo
	$(BIN)/python examples/demo.py $(if $(PHOTOS),--photos "$(PHOTOS)")

test: .venv/dev  ## the tests: some minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/dev  ## kill loops, load, the wheel
	$(BIN)/python -m pytest -m slow --timeout 1800

lint: .venv/dev
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy

check: lint test  ## what has to pass before a change lands

bench: .venv/dev  ## the figures of docs/benchmarks.md; DATA=folder of the datasets
	$(BIN)/python -m benchmarks

presentation: .venv/base  ## tinct in eleven pages: build/tinct.pdf
	$(BIN)/python examples/presentation.py build/tinct.pdf

.venv/base: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) setuptools
	$(PIP) --no-build-isolation --editable .
	touch $@

.venv/dev: .venv/base
	$(PIP) --no-build-isolation --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis
