# Every target does the set-up it needs; a second call skips it. `make help` lists them.
SHELL := /bin/bash
SEED ?= 0
RUN_DIR ?= runs/demo
TESTS ?= tests
# hours, or an hour each: asked for by name
BENCHMARKS ?= $(filter-out $(addprefix benchmarks/,switch.py faults.py soak.py),$(wildcard benchmarks/*.py))

# Software rendering; discovery on this machine only; a BLAS pool per process no wider than the cores it shares.
export MUJOCO_GL ?= egl
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST
export OMP_NUM_THREADS ?= $(shell n=$$(nproc); echo $$((n < 4 ? n : 4)))

BIN := .venv/bin
IN_ENV := . scripts/env.sh &&

.PHONY: help setup ros demo test check bench bench-switch faults soak peers browser gymhil lerobot robomimic clean
.DEFAULT_GOAL := help

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## system packages, venv, pinned wheels, colcon build; skipped where done
	@scripts/setup.sh

ros: setup ## build ros_ws again, whatever its stamps say
	@scripts/build_ros.sh --force

demo: setup ## the whole walk on the twin: collect, pretrain, fine-tune, report (SEED=0, RUN_DIR=runs/demo)
	@$(IN_ENV) o2o demo --seed $(SEED) --run-dir $(RUN_DIR)

test: setup ## unit, contract, ROS and small end-to-end tests (TESTS=tests/data for a part)
	@$(IN_ENV) python -m pytest -q $(TESTS)

check: setup ## ruff, format, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup ## every figure of benchmarks/, one table each
	@$(IN_ENV) for file in $(BENCHMARKS); do python "$$file" || exit 1; done

bench-switch: setup ## the offline-to-online benchmark: 14 methods, two tasks, four seeds; an hour or more
	@$(BIN)/pip install -q -r requirements/bench.txt
	@$(IN_ENV) python benchmarks/switch.py

faults: setup ## the crash matrix: every fault in every node in every phase; an hour or more, goes on where it stopped
	@$(IN_ENV) python benchmarks/faults.py

soak: setup ## two hours of collect, warm-up and online with random faults (MINUTES=120)
	@$(IN_ENV) python benchmarks/soak.py --minutes $(or $(MINUTES),120)

peers: setup ## d3rlpy in an environment of its own, for the parity test and the speed benchmark
	@test -x .venv-peers/bin/python || $(BIN)/python -m venv .venv-peers
	.venv-peers/bin/pip install -q "$$(grep '^torch==' requirements/torch.txt)" -r requirements/peers.txt

browser: setup ## a headless Chromium (about 280 MB, in your user's cache) for the tests in a real browser
	@$(BIN)/pip install -q -r requirements/browser.txt
	$(BIN)/playwright install --only-shell chromium

gymhil: setup ## gym-hil in an environment of its own, beside which benchmarks/twin.py measures the twin
	@test -x .venv-gymhil/bin/python || $(BIN)/python -m venv .venv-gymhil
	.venv-gymhil/bin/pip install -q -r requirements/gymhil.txt

lerobot: setup ## the lerobot package in an environment of its own (8 GB), for its test and benchmark
	@test -x .venv-lerobot/bin/python || $(BIN)/python -m venv .venv-lerobot
	.venv-lerobot/bin/pip install -q -r requirements/lerobot.txt

robomimic: setup ## robomimic in an environment of its own, for the test that it opens what we export
	@test -x .venv-robomimic/bin/python || $(BIN)/python -m venv .venv-robomimic
	.venv-robomimic/bin/pip install -q "$$(grep '^torch==' requirements/torch.txt)" -r requirements/robomimic.txt
	.venv-robomimic/bin/pip install -q --no-deps robomimic==0.3.0

clean: ## forget what was built; the next call sets up anew (runs/ and data stay)
	rm -rf .venv .setup ros_ws/build ros_ws/install ros_ws/log *.egg-info .pytest_cache .mypy_cache .ruff_cache
