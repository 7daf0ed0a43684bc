# Everything a person types. `make help` lists it; each target installs what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_FLOOR := uv>=0.6
GENERATOR := --with grpcio-tools==1.71.2 --with mypy-protobuf==3.6.0 --with "setuptools<81"
READY := $(VENV)/.ready
FLYTEKIT := .flytekit-venv/.ready
FLYTEKIT_TESTS := .flytekit-venv/.ready-for-tests

CHOSEN = $$($(BIN)/python -c 'import sys; print(sys.executable if sys.version_info < (3, 13) else "3.12")')

export UV_PROJECT_ENVIRONMENT := $(VENV)
# Each of the many processes would compile all sources again where a shell says that compiled ones are not to be kept.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

$(UV):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(UV_FLOOR)"

$(READY): $(UV) uv.lock pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml clients/*/pyproject.toml)
	$(UV) sync --frozen --inexact --compile-bytecode --quiet
	@touch $@

# The tasks of the example run in an environment of their own, as a user's would. No pyflyte runs with a Python later
# than 3.12 yet: uv finds or fetches one that serves.
$(FLYTEKIT): examples/quickstart/requirements.txt | $(READY)
	@$(UV) venv --quiet --allow-existing .flytekit-venv --python "$(or $(TASKS_PYTHON),$(CHOSEN))" \
		|| { echo "flytekit needs Python 3.12 or earlier; name one: make $(MAKECMDGOALS) TASKS_PYTHON=/path/to/python3.12"; exit 1; }
	$(UV) pip install --quiet --compile-bytecode --python .flytekit-venv/bin/python -r examples/quickstart/requirements.txt
	@touch $@

$(FLYTEKIT_TESTS): tests/flytekit-requirements.txt | $(FLYTEKIT)
	$(UV) pip install --quiet --compile-bytecode --python .flytekit-venv/bin/python -r tests/flytekit-requirements.txt
	@touch $@

install: $(READY) ## make the development environment in .venv

demo: $(READY) $(FLYTEKIT) ## start the control plane, run a real flytekit project twice, show what happened
	@$(BIN)/python examples/quickstart/demo.py

up: $(READY) $(FLYTEKIT) ## start the control plane on localhost:30080 and stay
	@$(BIN)/elevon up --python .flytekit-venv/bin/python $(ARGS)

test: $(READY) $(FLYTEKIT_TESTS) ## run all tests
	@scripts/require_postgresql.sh
	$(BIN)/python -m pytest $(ARGS)

check: $(READY) ## format, lint, types, layers, protos, stub drift
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy libs services clients scripts tests
	$(BIN)/lint-imports
	$(BIN)/buf format --diff --exit-code
	$(BIN)/buf lint
	$(UV) run --isolated --no-project --python $(BIN)/python $(GENERATOR) scripts/check_stubs.py
	$(BIN)/python scripts/settings_reference.py --check
	$(BIN)/python scripts/compatibility.py --check

format: $(READY) ## format the code and the protos
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/buf format -w

protos: $(READY) ## generate the stubs from protos/
	$(UV) run --isolated --no-project --python $(BIN)/python $(GENERATOR) scripts/generate_stubs.py

settings: $(READY) ## write docs/settings.md from the settings
	$(BIN)/python scripts/settings_reference.py

simulate: $(READY) ## play seeds against the engine: SEEDS=10000 FROM=0, or one again: SEED=4711
	@$(BIN)/python -m elevon_propeller.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000) --from $(or $(FROM),0)) $(ARGS)

compatibility: $(READY) ## write docs/compatibility.md from its tests
	$(BIN)/python scripts/compatibility.py

bench: $(READY) $(FLYTEKIT) ## measure the budgets and print the table
	@$(BIN)/python -m tests.benchmarks $(ARGS)

load: $(READY) ## put load on a control plane: SECONDS=60, ARGS="--clients 200"
	@$(BIN)/python -m tests.load --seconds $(or $(SECONDS),60) $(ARGS)

clean: ## remove the environments and what was built
	rm -rf $(VENV) .flytekit-venv build dist .elevon

.PHONY: help install demo up test check format protos settings compatibility simulate bench load clean
