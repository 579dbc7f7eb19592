# `make demo` and `make test` are all a newcomer needs: both install what they need into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO ?= demo_out
FRESH ?= 0

.PHONY: install demo test browser drill lint format bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("raytad needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + "; try make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python jobs/demo.py out=$(DEMO) fresh=$(FRESH)

# Two at a time, for much of a test is waiting; tests/conftest.py says which tests stay together.
test: $(STAMP) browser
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

# The report's page is tested in a real browser; where it cannot be installed, those tests say how to get it.
browser:
	@.ci/browser

drill: $(STAMP)
	$(BIN)/python -m pytest -s --timeout 3600 $(wildcard tests/drills/[!_p]*.py)

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	set -e; for script in $(filter-out benchmarks/measure.py benchmarks/learning.py benchmarks/zero_shot.py benchmarks/synthetic_archive.py benchmarks/random_windows.py benchmarks/scale_steps.py,$(wildcard benchmarks/*.py)); do \
	    echo "== $$script"; $(BIN)/python $$script; done

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info
