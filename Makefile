# Greffier. `make` prints what there is.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
UV ?= uv
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --require-hashes --no-deps
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock"

.PHONY: help
help: ## Print this.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.runtime ## A meeting on this machine, captions in the terminal. ARGS=--once | --audio DIR | --out DIR
	@$(BIN)/python -m bench.demo $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## Set up what the tests need, then run them. ARGS goes to pytest.
	@PATH="$(CURDIR)/$(BIN):$$PATH" .ci/test-setup
ifdef ARGS
	@PATH="$(CURDIR)/$(BIN):$$PATH" python -m pytest $(ARGS)
else
	@PATH="$(CURDIR)/$(BIN):$$PATH" .ci/run-tests
endif

.PHONY: check
check: $(VENV)/.dev clients/js/node_modules/.installed ## Lint, format, types, direction of imports.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@cd clients/js && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check

.PHONY: bench
bench: $(VENV)/.runtime ## Figures: how long captions take, what the worker costs. ARGS goes to bench.figures.
	@$(BIN)/python -m bench.figures $(ARGS)

.PHONY: soak
soak: $(VENV)/.dev ## 200 faults of 20 kinds, and a count of every spoken number; goes on where it was cut off. ARGS goes to bench.soak.
	@$(BIN)/python -m bench.soak $(ARGS)

.PHONY: faults
faults: $(VENV)/.dev ## Kill jobs at every named place, 5 times each, and count every final; then every store under every fault. ARGS goes to bench.crash.
	@$(BIN)/python -m bench.crash $(ARGS)
	@$(BIN)/python -m bench.store_faults --gone 60

.PHONY: comeback
comeback: $(VENV)/.dev ## How soon the agent is back after its job, or worker, died; that each room keeps one agent; what a deploy costs.
	@$(BIN)/python -m bench.comeback $(ARGS)
	@$(BIN)/python -m bench.one_agent
	@$(BIN)/python -m bench.soak --kinds "worker told to end" --faults 20 --out out/handover.jsonl

.PHONY: docs
docs: $(VENV)/.dev clients/js/node_modules/.installed ## Generate again what is generated in docs/ and README.md.
	@$(BIN)/python -m agents.generated_docs
	@$(BIN)/python -m pipelines.transcript.document > docs/transcript.schema.json
	@$(BIN)/python -m pipelines.post_meeting.summary > docs/summary.schema.json
	@cd clients/js && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent generate

.PHONY: lock
lock: ## Resolve the hashed requirements*.txt again; needs uv. ARGS=--upgrade
	$(LOCK) $(ARGS) pyproject.toml --extra pocketsphinx --output-file requirements.txt
	$(LOCK) $(ARGS) requirements-build.in --constraint requirements.txt --output-file requirements-build.txt
	$(LOCK) $(ARGS) pyproject.toml --extra pocketsphinx --group dev requirements-build.in \
		--constraint requirements.txt --constraint requirements-build.txt --output-file requirements-dev.txt

.PHONY: clean
clean: ## Remove what was made here; livekit-server in the user's cache stays.
	rm -rf $(VENV) out build dist *.egg-info tests/node/node_modules
	rm -rf clients/js/node_modules clients/js/dist clients/js/out
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@.ci/make-venv $(VENV)

# Stamps: what is installed is as new as the files it was installed from.
$(VENV)/.runtime: requirements.txt requirements-build.txt pyproject.toml | $(BIN)/python
	@echo "Installing what the worker needs into $(VENV)"
	@$(INSTALL) -r requirements.txt -r requirements-build.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing what the tests need into $(VENV)"
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

clients/js/node_modules/.installed: clients/js/package-lock.json | $(VENV)/.dev
	@echo "Installing the npm packages of clients/js"
	@cd clients/js && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent && touch node_modules/.installed
