# Everything that is made here lies in .venv, .tools and .plumbline. `make help` lists the targets.
PYTHON ?= python3
ARGS ?=
SHELL := /bin/sh
BIN := .venv/bin
CODE := matrix ingest scorer trainer registry infra benchmarks tests
LOCKS := requirements/dev.txt requirements/build.txt
# Named after what was installed: a second run finds it, a changed lock or interpreter does not.
MADE := .venv/.made-$(shell cat $(LOCKS) pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)
export UV_PYTHON_DOWNLOADS = never
COMPILE = "$$uv" pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11
# uv from PATH, else the one that `install` puts into .tools.
FIND_UV = uv=$$(command -v uv || echo .tools/uv/bin/uv)

# The quick tests need no server and try fewer examples of each property. They run in parts side by side; those that load
# torch are one, since loading it takes longer than most tests.
QUICK := -q -p no:cacheprovider -p no:schemathesis --hypothesis-profile=quick -m "not stack and not database and not journey and not slow"
MODELS := tests/trainer $(addprefix tests/, invariants/test_training_laws.py contracts/test_policy_server.py contracts/test_decoding.py \
  contracts/test_chat_through_gateway.py architecture/test_compose.py)
DOORS := tests/ingest tests/infra
PART_models := $(MODELS)
PART_doors := $(DOORS)
PART_others := tests $(patsubst %,--ignore=%,$(MODELS) $(DOORS) tests/integration tests/journeys)

.PHONY: help demo test check static fast-tests fast-others fast-doors fast-models stack install jars format lock clean distclean
.DEFAULT_GOAL := help

help:
	@echo "make demo [ARGS=...]   the whole loop on this machine, from a thumb to a served adapter"
	@echo "make test [ARGS=...]   the whole test suite on the local stack"
	@echo "make check             format, lint, types, import contracts, fast tests"
	@echo "make stack [ARGS=...]  start the local stack (plumbline stack down ends it)"
	@echo "make format | lock     write the code's format | the hash-pinned requirements"
	@echo "make clean             end every stack under .plumbline and remove its data and all caches"
	@echo "make distclean         the same, and the installed environment"

demo: install jars
	@$(BIN)/plumbline demo $(ARGS)

stack: install jars
	@$(BIN)/plumbline stack up $(ARGS)

# Two processes: most tests use one core. Which tests stay in one of them, tests/conftest.py says.
test: install jars
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadscope $(ARGS)

check: install
	@$(MAKE) --no-print-directory --jobs=3 --keep-going --output-sync=target fast-tests static

static: install
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports

fast-tests: fast-others fast-doors fast-models

# Exit code 5: ARGS chose no test of this part.
fast-others fast-doors fast-models: fast-%: install
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(QUICK) $(PART_$*) $(ARGS) || [ $$? -eq 5 ]

format: install
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

install: $(MADE)

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "plumbline: Python 3.11 or newer is needed, and $(PYTHON) is not. Try: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@command -v uv >/dev/null || [ -x .tools/uv/bin/uv ] || { \
	  $(PYTHON) -m venv .tools/uv >/dev/null 2>&1 || { \
	    echo "plumbline: $(PYTHON) -m venv does not work here. Install it (Debian: apt install python3-venv)." >&2; exit 2; }; \
	  .tools/uv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt; }
	@set -e; $(FIND_UV); \
	wanted=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	found=$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true); \
	if [ "$$wanted" != "$$found" ]; then rm -rf .venv && "$$uv" venv --quiet --python "$(PYTHON)" .venv; fi; \
	echo "installing what requirements/ pins (about 3 GB at the first time) ..." >&2; \
	"$$uv" pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes $(LOCKS); \
	"$$uv" pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	rm -f .venv/.made-*; touch $@

# The stack fetches them itself; here they are fetched before anything else is started.
jars: install
	@ls -d .plumbline/cache/kafka-* >/dev/null 2>&1 || $(BIN)/plumbline stack fetch --home .plumbline

lock: install
	@$(FIND_UV); set -e; \
	$(COMPILE) --extra server --extra trainer pyproject.toml -o requirements/product.txt; \
	$(COMPILE) --extra server --extra trainer --extra local --extra dev pyproject.toml -o requirements/dev.txt; \
	printf 'hatchling\neditables\n' | $(COMPILE) - -o requirements/build.txt; \
	printf 'uv\n' | $(COMPILE) - -o requirements/uv.txt

# The demo and the tests have stacks of their own; without its pid files nothing could end one any more.
clean:
	@[ ! -d .plumbline ] || find .plumbline -name data -prune -o -type d -name run -prune -exec sh -ec \
	  'for run; do $(BIN)/plumbline stack down --home "$${run%/run}"; done' sh {} + || { \
	  echo "plumbline: a stack under .plumbline was not ended, so nothing is removed. Is $(BIN)/plumbline there (make install)?" >&2; exit 2; }
	@rm -rf .plumbline .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
	@find . -name __pycache__ -not -path './.venv/*' -not -path './.tools/*' -prune -exec rm -rf {} +

distclean: clean
	@rm -rf .venv .tools
