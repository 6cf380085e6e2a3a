# make demo   set up what a run needs and transcribe three sample recordings
# make test   the same set-up and what the tests need, then every test but slow ones and those of Slurm
# make setup  only set up: .venv (packages) and .models (weights, voice activity, samples)
# make .clients/.done   other people's clients of the server, which its tests need beside (npm)
# make slurm  what the profile slurm needs beside the set-up
# make bench DATA=/folder/with/manifest   ours and its peers by turns: speed, errors, scale (benchmarks/README.md; hours)
# make lock   resolve pyproject.toml anew into requirements/ (10 minutes)
# make clean  remove everything that these made in this folder

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo setup test slurm bench lock clean

# Any Python from 3.11 on, e.g. `make demo PYTHON=python3.12`.
PYTHON ?= python3
# Address of a package index with the CPU build of torch; empty takes what pip finds as it is set up.
TORCH_INDEX ?=

# Of `make test`: processes; twice as many as two cores, because tests of runs and servers often wait.
WORKERS ?= 4

# Of `make test`: which tests; CI takes those of Slurm with them.
MARKS ?= not slow and not slurm

# Of `make bench`: recordings with a manifest, the model, runs of every system, hours of audio of each scale point.
DATA ?= .models/samples
MODEL ?= base
ROUNDS ?= 3
HOURS ?= 1

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-build-isolation
LOCKED := $(INSTALL) --require-hashes

# Of what pip says, the lines about what takes time; everything when it fails.
BRIEFLY := 2>&1 | tee .venv/pip.log \
	| { grep --line-buffered -E '(Downloading|Using cached|Processing) .*\([0-9.]+ [MG]B\)|^(Building|Installing)' \
		| cut -c 1-100 || true; } || { cat .venv/pip.log; exit 1; }

demo: setup
	$(BIN)/snakemake --cores all --quiet rules --config recordings=.models/samples results=.demo/results
	@for text in .demo/results/transcripts/*.txt; do printf '\n%s\n' "$$text"; head -n 3 "$$text"; done
	@echo
	@echo 'tables:       .demo/results/tables/{recordings,segments,words}.{parquet,tsv}'
	@echo 'transcripts:  .demo/results/transcripts/*.{json,txt,srt,vtt}'
	@echo 'your folder:  $(BIN)/snakescribe run --recordings /my/folder --results /my/results'

setup: .venv/.runtime .models/.runtime
	@echo 'ready: .venv/bin/snakescribe run --recordings /my/folder --results /my/results'

test: .venv/.everything .models/.tests
	$(BIN)/pytest -m '$(MARKS)' --numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder

.clients/.done: tests/server/clients/package-lock.json tests/server/clients/requirements.txt
	mkdir -p .clients
	cp $(<D)/package.json $< .clients
	npm ci --prefix .clients --no-audit --no-fund
	$(PYTHON) -m venv .clients/py
	.clients/py/bin/pip install --quiet --disable-pip-version-check -r tests/server/clients/requirements.txt
	touch $@

.venv/.bootstrap: requirements/bootstrap.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Python 3.11 or newer is needed; say where: make demo PYTHON=/path/to/python3.11' >&2; exit 2; }
	$(PYTHON) -m venv .venv
	@$(LOCKED) -r $< $(BRIEFLY)
	@touch $@

# The CPU build of torch is taken where pip finds it. It comes first and by its own file, because pip prefers any
# index's build over a file in a --find-links folder as soon as hashes are required.
.venv/.torch: .venv/.bootstrap requirements/torch-cpu.txt
	@if [ -n '$(TORCH_INDEX)' ] || $(INSTALL) --quiet --no-deps --dry-run \
		"$$(grep -o '^torch==[^ ]*' requirements/torch-cpu.txt)" > .venv/pip.log 2>&1; then \
		echo 'torch: the CPU build (192 MB)'; \
		$(LOCKED) --no-deps -r requirements/torch-cpu.txt $(TORCH_INDEX:%=--extra-index-url %) $(BRIEFLY); \
	else \
		echo 'torch: the build with CUDA (2.7 GB); TORCH_INDEX=… takes the CPU build (docs/usage.md)'; \
	fi
	@touch $@

.venv/.runtime: .venv/.torch requirements/runtime.txt requirements/no-deps.txt requirements/cuda.txt pyproject.toml
	@echo 'packages into .venv: 430 MB beside torch'
	@$(LOCKED) -c requirements/cuda.txt -r requirements/runtime.txt $(BRIEFLY)
	@$(LOCKED) --no-deps -r requirements/no-deps.txt $(BRIEFLY)
	@$(INSTALL) --quiet --no-deps -e .
	@touch $@

.venv/.everything: .venv/.runtime requirements/everything.txt
	@echo 'packages of the tests and checks into .venv: 145 MB'
	@$(LOCKED) -c requirements/cuda.txt -r requirements/everything.txt $(BRIEFLY)
	@touch $@

# Not a part of the tests' packages: with it every start of Snakemake takes 0.5 s more. Without dependencies: those are there.
slurm: .venv/.slurm

.venv/.slurm: .venv/.runtime requirements/slurm.txt
	@$(LOCKED) --no-deps -r requirements/slurm.txt $(BRIEFLY)
	@touch $@

# A folder that only peers and plots look into, over .venv's packages: ours never sees it, torch and CTranslate2 are shared.
.venv/.bench: .venv/.runtime requirements/bench.txt
	@echo 'packages of the peers and the plots into .venv/bench: 41 MB'
	@rm -rf .venv/bench
	@$(LOCKED) --no-deps --target .venv/bench -r requirements/bench.txt $(BRIEFLY)
	@touch $@

bench: .venv/.bench .models/.runtime
	$(BIN)/python -m benchmarks all --data '$(DATA)' --model '$(MODEL)' --rounds $(ROUNDS) --hours $(HOURS)

.models/%: export SNAKESCRIBE_MODELS = .models

.models/.runtime: .venv/.runtime scripts/snakescribe/models/catalog.json
	@echo 'models and samples into .models: 172 MB'
	$(BIN)/snakescribe models fetch base
	$(BIN)/snakescribe models samples .models/samples
	@touch $@

.models/.tests: .models/.runtime
	@echo 'the model tiny.en and the weights to tell voices apart into .models: 152 MB'
	$(BIN)/snakescribe models fetch tiny.en speakers
	@touch $@

# Without local wheels: what is locked must be on the index (scripts/lock.py knows the one exception).
lock:
	$(PYTHON) -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet pip==26.3 pip-tools==7.6.2
	env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL PIP_CONFIG_FILE=/dev/null .venv/lock/bin/python scripts/lock.py

clean:
	rm -rf .venv .models .demo .bench
