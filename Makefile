# Verbs of the workbench. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
STUDY ?= imaging_service
# Names of folders below datasets/ that hold a site.toml, or that hold folders with one, as capital;
# empty: every site of the study found there.
SITES ?=
# Sites, and test processes, that run at a time.
JOBS ?= 2
# Where wheels beside the package index lie: a folder or URL, for machines that need one.
FIND_LINKS ?= $(PIP_FIND_LINKS)
# 1: take no package from elsewhere, for a machine without internet.
NO_INDEX ?=

CHROMIUM ?= chromium
# Where fonts-noto-cjk of Debian puts the collection.
CJK ?= /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc

BIN := .venv/bin
FOLDER := studies/$(STUDY)
PLACES = $(wildcard datasets/$(1)/site.toml datasets/*/$(1)/site.toml datasets/$(1)/*/site.toml)
SITE_FILES := $(foreach s,$(SITES),$(or $(call PLACES,$(s)),datasets/$(s)/site.toml))
# What a recipe makes once it has made its tables; the hospitals of imaging_ai take minutes.
MADE := datasets/capital/truth.json
CHOSEN := $(foreach f,$(SITE_FILES),--site $(f))
LINKS := $(if $(FIND_LINKS),--find-links $(FIND_LINKS)) $(if $(NO_INDEX),--no-index)

.PHONY: help env study test lint check reproduce bench lab lock picture font wheelhouse clean

help: ## list the verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 14
	@echo "Settings:     STUDY=$(STUDY) SITES='$(SITES)' JOBS=$(JOBS)"

study: .venv/.ready $(MADE) ## run a study at its sites, release, pool, and show the dashboard
	$(BIN)/workbench run $(FOLDER) $(CHOSEN) --jobs $(JOBS)
	$(BIN)/workbench release $(FOLDER) $(CHOSEN) --yes --quiet --jobs $(JOBS)
	$(BIN)/workbench verify $(FOLDER)
	$(BIN)/workbench pool $(FOLDER)
	@if [ -t 1 ]; then $(BIN)/workbench publish $(FOLDER); else $(BIN)/workbench publish $(FOLDER) --dry-run; fi

env: .venv/.ready ## build the environment only

test: .venv/.ready $(MADE) ## lint, check types and contracts, and run every test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	$(BIN)/python -m pytest -n $(JOBS) $(PYTEST)

lint: .venv/.ready ## format the code and mend what a tool can mend
	$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/mypy

check: .venv/.ready ## check the definition of a study
	$(BIN)/workbench check $(FOLDER)

reproduce: .venv/.ready $(MADE) ## run a study again without the cache and compare every published number
	$(BIN)/workbench reproduce $(FOLDER) $(CHOSEN)

bench: .venv/.ready ## measure speed as ratios and print the table of the README
	$(BIN)/python -m benchmarks

lock: .venv/.ready ## resolve the dependencies again
	$(BIN)/uv pip compile pyproject.toml --all-extras $(LINKS) --python-version 3.11 --no-header --no-annotate --quiet -o requirements.lock
	sed -i 's/+cpu$$//' requirements.lock

lab: .venv/.ready ## open JupyterLab on notebooks/start_here.ipynb
	binder/start $(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" \
	  --LabApp.default_url=/lab/tree/notebooks/start_here.ipynb $(LAB)

picture: .venv/.ready ## draw the picture of a study's page that the README shows (needs Chromium)
	@page=$$(mktemp -d) && $(BIN)/workbench publish $(FOLDER) --static $$page \
	  && $(CHROMIUM) --headless --no-sandbox --disable-background-networking --hide-scrollbars \
	    --window-size=1200,1240 --screenshot=studies/$(STUDY).png file://$$page/$(STUDY).html 2>/dev/null \
	  && rm -r $$page && ls -l studies/$(STUDY).png

font: .venv/.ready ## take the Chinese characters of the figures from Noto Sans CJK (needs fonts-noto-cjk)
	$(BIN)/python -m workbench.publish.fonts $(CJK) workbench studies datasets

wheelhouse: ## save every package for a machine without internet
	$(PYTHON) -m pip download --quiet --disable-pip-version-check --only-binary=:all: $(LINKS) \
	  --dest wheelhouse --requirement requirements.lock uv
	@echo 'On a machine with the same Linux and Python: make env FIND_LINKS=wheelhouse NO_INDEX=1' \
	  | tee wheelhouse/README

clean: ## remove the environment, runs and caches; releases stay
	rm -rf .venv runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Pretend sites are made before they are read, at the scale that the committed releases are of.
$(MADE): datasets/%/truth.json: datasets/%/recipe.py | .venv/.ready
	$(BIN)/workbench datasets --build $*

# uv installs the lock in a third of pip's time; where it cannot reach an index, pip does it.
.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or 3.12 is needed, this is " + sys.version if not (3, 11) <= sys.version_info < (3, 13) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(LINKS) uv setuptools
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode $(LINKS) -r requirements.lock \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check $(LINKS) -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
