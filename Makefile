# Everything sets itself up: a machine with python3 and make is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

MARKDOWN := $(wildcard *.md) docs benchmarks examples

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint format docs scorecard fuzz page image imagecheck clean

help:  ## show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "bedside needs Python 3.10 or newer; set PYTHON=python3.12, say"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3 has no venv module; on Debian and Ubuntu: apt install python3-venv"; rm -rf $(VENV); exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

venv: $(VENV)/.ready  ## make .venv with everything in it

demo: venv  ## phantoms to report in a few minutes: demo/report.html
	$(BIN)/bedside demo -o demo

test: venv  ## run the tests, in one process per CPU, four at most
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
	$(BIN)/python -m pytest --doctest-modules --quiet runtime processes training teacher distill export devices dicom service cli docs/site/navigation.py

lint: venv  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mdformat --check $(MARKDOWN)
	$(BIN)/pyright

format: venv  ## format code and documents
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mdformat $(MARKDOWN)

$(VENV)/.docs-ready: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

docs: $(VENV)/.docs-ready  ## build the documentation site in build/site, to read without a network
	@rm -rf build/site
	$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going -c docs/site -d build/site-doctrees . build/site
	$(BIN)/python docs/site/check_pages.py build/site
	@echo "open build/site/index.html"

scorecard: venv  ## the reliability trials at full count, raw counts printed
	BEDSIDE_TRIALS=full $(BIN)/python -m pytest tests/scorecard -s

SECONDS_EACH ?= 60
fuzz: venv  ## coverage-guided fuzzing of every parser, SECONDS_EACH=60 for each
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS_EACH)

page:  ## fetch the viewer of the service's page from npm; a wheel built afterwards contains it
	@$(PYTHON) scripts/fetch_viewer.py

CONTAINER_TOOL ?= docker
IMAGE ?= bedside
BUILD_OPTIONS ?=
image:  ## build the container image; IMAGE=bedside, CONTAINER_TOOL=podman, BUILD_OPTIONS=… for the tool's own
	$(CONTAINER_TOOL) build $(BUILD_OPTIONS) -f examples/container/Dockerfile -t $(IMAGE) .

BUNDLE ?= demo/student.bedside
SCAN ?= $(firstword $(wildcard demo/data/imagesTs/*.nii.gz))
imagecheck:  ## run the image as its README does and check it; BUNDLE=… SCAN=… (those of make demo)
	CONTAINER_TOOL="$(CONTAINER_TOOL)" RUN_OPTIONS="$(RUN_OPTIONS)" PATH="$(CURDIR)/$(BIN):$$PATH" \
	    examples/container/check.sh $(IMAGE) $(BUNDLE) $(SCAN)

clean:  ## remove what make made
	rm -rf $(VENV) demo build fuzz-findings *.egg-info .pytest_cache .ruff_cache
