# Everything installs into .venv, through pip, with the versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
PYTHONS := src tests benchmarks examples docs/hook.py docs/sitepages
PHOTOS ?=

.PHONY: demo test test-slow check lint docs bench requirements notebooks dist clean

demo: .venv/base  ## grays and colours photographs with the bundled model, into Results/demo
	$(BIN)/python examples/demo.py $(if $(PHOTOS),--photos "$(PHOTOS)")

test: .venv/dev  ## the tests: some minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: .venv/dev  ## kill loops, load, the wheel
	$(BIN)/python -m pytest -m slow --timeout 1800

lint: .venv/dev
	$(BIN)/ruff format --check $(PYTHONS)
	$(BIN)/ruff check $(PYTHONS)
	$(BIN)/mypy

check: lint test  ## what has to pass before a change lands

docs: .venv/dev  ## the site, into build/site, and tinct in eleven pages, build/tinct.pdf
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	$(BIN)/python examples/presentation.py build/tinct.pdf

bench: .venv/dev  ## the figures of docs/benchmarks.md; DATA=folder of the datasets
	$(BIN)/python -m benchmarks

requirements: .venv/dev  ## requirements.txt and environment.yml, from pyproject.toml and constraints.txt
	$(BIN)/python -m examples.requirements

notebooks: .venv/dev  ## runs those of examples/ and keeps their outputs: some minutes
	$(BIN)/python -m examples.notebooks

dist: lint  ## dist/: sdist, and the wheel that is built from it, after the checks that are quick
	$(BIN)/python -m pytest tests/test_release.py tests/docs tests/test_architecture.py
	rm -rf dist
	$(BIN)/python -m build --no-isolation

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
