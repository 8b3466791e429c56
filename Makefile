# Table of contents; every target is a line that calls something. Needs Python 3.11 or later, and make.

BIN := .venv/bin
ARGS ?=

.PHONY: help setup run test check format bench docs rules texts screenshots lock package clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

setup: ## make .venv ready for everything below
	@sh packaging/setup.sh dev

run: ## the demo practice; make run ARGS="--no-life" passes arguments on
	@sh packaging/setup.sh run && exec $(BIN)/provisioner run --demo $(ARGS)

test: ## the whole test suite with branch coverage; make test ARGS="-k store"
	@sh packaging/setup.sh dev && exec sh packaging/test.sh $(ARGS)

check: ## style, types, floors
	@sh packaging/setup.sh dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict provisioner
	@$(BIN)/lint-imports

format: ## put the code into the one form
	@sh packaging/setup.sh dev && $(BIN)/ruff check --fix-only --quiet . && $(BIN)/ruff format .

bench: ## the benchmarks, one after the other
	@sh packaging/setup.sh dev && for each in benchmarks/*.py; do $(BIN)/python $$each || exit; done

docs: ## check that the documentation says what the program does
	@sh packaging/setup.sh dev && exec $(BIN)/python -m pytest -q tests/test_docs.py

rules: ## write docs/rules.md anew: which test proves which rule of the calls
	@sh packaging/setup.sh dev && exec $(BIN)/python packaging/rules.py

texts: ## bring the catalogues of the pages' texts up to date, and name what is not translated
	@sh packaging/setup.sh dev && exec $(BIN)/python packaging/texts.py

screenshots: ## take the pictures of docs/images; make screenshots READY=the ready file of a running demo
	@sh packaging/setup.sh dev && exec $(BIN)/python packaging/screenshots.py $(READY)

lock: ## write packaging/*.lock anew from setup.cfg; needs uv
	@sh packaging/setup.sh dev && exec $(BIN)/python packaging/lock.py

package: ## a wheel in dist/
	@sh packaging/setup.sh dev && exec $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation -w dist .

clean: ## remove what was made here; the state of the demo stays
	@rm -rf .venv build dist htmlcov *.egg-info .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
