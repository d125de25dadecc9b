# Everything a fresh machine needs comes from here: `make demo` and `make test` are the two to remember.
# On a system without make: `python -m pip install -e .[dev]`, then `python -m vistazo demo` and `python -m pytest`.

VENV   ?= .venv
BIN    := $(VENV)/bin
PYTHON ?=
ARGS   ?=

export PYTHONUTF8 := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
LOCKS  := requirements/core.txt requirements/dev.txt

.PHONY: help demo test test-all lint format messages lock bench clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo      train on pictures that come with the package, in seconds'
	@echo 'make test      the tests, without those marked slow'
	@echo 'make test-all  every test'
	@echo 'make lint      style, types and import rules'
	@echo 'make format    bring the code into style'
	@echo 'make messages  collect the messages and compile the Spanish catalogue'
	@echo 'make lock      renew requirements/*.txt, and the locks of an exported service'
	@echo 'make bench     the figures of the README'
	@echo 'make clean     remove what make has made'

# ---------------------------------------------------------------- for users
demo: $(VENV)/core.done
	@$(BIN)/python -m vistazo demo $(ARGS)

# ---------------------------------------------------------------- for developers
test: $(VENV)/dev.done $(VENV)/browser.done
	@$(BIN)/python -m pytest -m 'not slow' $(ARGS)

test-all: $(VENV)/dev.done $(VENV)/browser.done
	@$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/dev.done
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/dev.done
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

messages: $(VENV)/dev.done
	@$(BIN)/python tools/messages.py

lock: $(VENV)/lock.done
	@$(BIN)/python requirements/lock.py $(ARGS)

bench: $(VENV)/dev.done
	@for one in $(filter-out benchmarks/common.py,$(wildcard benchmarks/*.py)); do echo "== $$one"; $(BIN)/python $$one $(ARGS) || exit 1; done

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find src tests benchmarks requirements -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- the environment, made once
# Stamps make a second call cheap; they are renewed when the lock or the metadata changes.
$(VENV)/made.done:
	@python='$(PYTHON)'; \
	for one in $${python:-python3 python3.14 python3.13 python3.12 python3.11 python}; do \
	    if $$one -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' \
	        >/dev/null 2>&1; then found=$$one; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	    echo 'Vistazo needs Python 3.11 to 3.14 with its venv module, and none was found.' >&2; \
	    echo 'Install one (on Debian or Ubuntu: apt install python3 python3-venv), or name it: make demo PYTHON=/path/to/python3' >&2; \
	    exit 1; \
	fi; \
	$$found -m venv $(VENV)
	@touch $@

$(VENV)/torch.done: $(VENV)/made.done requirements/install_torch.py
	@$(BIN)/python requirements/install_torch.py
	@touch $@

# The packages of the lock are exactly those whose hashes stand in it; Vistazo itself is built without a download.
$(VENV)/core.done: $(VENV)/torch.done requirements/core.txt pyproject.toml
	@echo 'Installing what requirements/core.txt pins ...' >&2
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/core.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.done: $(VENV)/core.done requirements/dev.txt
	@echo 'Installing what requirements/dev.txt pins ...' >&2
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/dev.txt
	@touch $@

# Pages are tested in a real browser; where none can be had, those tests are skipped with the reason.
$(VENV)/browser.done: $(VENV)/dev.done requirements/install_browser.py
	@$(BIN)/python requirements/install_browser.py
	@touch $@

$(VENV)/lock.done: $(VENV)/made.done
	@$(BIN)/python -m pip install --quiet 'uv>=0.9'
	@touch $@
