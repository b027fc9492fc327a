.DEFAULT_GOAL := help
PY := .venv/bin/python
PYTEST := $(PY) -m pytest -q
# Two processes, a file at a time: what a file starts for its tests is started once.
PARALLEL := -n 2 --dist loadfile

.PHONY: help setup demo tune-demo test lint unit notebooks servers stories long leaks chart binaries cluster cluster-tests faults faults-ci kills bench bench-decisions bench-martingale bench-engine crds clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 18

setup: .venv/.done ## make the virtual environment, from uv.lock

.venv/.done: pyproject.toml uv.lock
	test -x $(PY) || python3 -m venv .venv
	$(PY) -m pip install --quiet "uv>=0.5"
	VIRTUAL_ENV="$(CURDIR)/.venv" $(PY) -m uv sync --quiet --frozen --all-extras --inexact --active
	touch $@

demo: setup ## watch a good and a bad release, and the revert in Git
	$(PY) -m rollout.cli.main sandbox demo
tune-demo: setup ## watch a model being fitted on history, certified, and used by a release
	$(PY) -m rollout.cli.main sandbox tune
test: lint chart unit notebooks servers stories long ## everything that CI runs
lint: setup ## style, types, import contracts, the Dockerfile
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports
	.venv/bin/hadolint Dockerfile
unit: setup ## the pure core and small parts, with the branch coverage of the core
	$(PY) -m coverage erase
	$(PY) -m coverage run -m pytest -q $(PARALLEL) tests/unit tests/golden tests/properties --ignore-glob='*_machine.py'
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report
	$(PYTEST) $(PARALLEL) tests/properties/test_*_machine.py
notebooks: setup ## the notebooks, from their first cell to their last
	$(PYTEST) $(PARALLEL) tests/notebooks
servers: setup ## real servers: API, Git, gateway, metrics, command line
	$(PYTEST) -n 3 --dist loadfile tests/servers tests/conformance
stories: setup ## the whole loop, with real processes, clients and Git
	$(PYTEST) -n 3 --dist worksteal tests/stories
long: setup ## the two that take longest side by side: faults, and the tests on a real control plane
	$(MAKE) --jobs=2 faults-ci cluster-tests
binaries: setup ## build the programs of real clusters, once; MINORS=all: of both minors of Kubernetes
	CLUSTER_MINORS=$(if $(MINOR),all,$(MINORS)) $(PY) -m tests.cluster.binaries
cluster-tests: binaries ## the loop on a real control plane, with Contour, Envoy, Gitea and Prometheus; MINORS=all: on two
	CLUSTER_MINORS=$(MINORS) $(PY) -m tests.cluster.netns $(PYTEST) tests/cluster
cluster: binaries ## a real cluster to play with, and a shell in it; MINOR=1.36 for an older one
	$(PY) -m tests.cluster.netns $(PY) -m tests.cluster $(if $(MINOR),--minor $(MINOR)) $(RUN)
leaks: setup ## 500 rollouts created, updated, aborted and deleted; LEAK_ROLLOUTS=500; figures in build/leaks.json
	LEAK_ROLLOUTS=$(or $(LEAK_ROLLOUTS),500) $(PYTEST) tests/stories/test_leaks.py
chart: setup ## the Helm chart, rendered by Helm
	$(PYTEST) tests/chart
faults-ci: setup ## the bad-release story while connections fail (20 seeds), and with the operator killed at every action
	$(PYTEST) tests/faults
faults: setup ## the same with SEEDS=200 seeds, and with what became of each; LANES=5 at a time
	$(PY) -m tests.faults --seeds $(or $(SEEDS),200) --lanes $(or $(LANES),5)
kills: setup ## the operator killed at every action of the bad-release story, on a real control plane
	$(PY) -m tests.cluster.binaries
	KILLS_STEP=1 $(PY) -m tests.cluster.netns $(PYTEST) -o log_cli=true --log-cli-level=INFO tests/cluster/test_kills.py
bench: setup ## what the operator costs and how fast it reacts; SIZE=quick, medium or full (hours); AGAINST=file compares
	$(PY) -m tests.benchmarks --size $(or $(SIZE),full) $(if $(AGAINST),--against $(AGAINST))
bench-decisions: setup ## false rollbacks and detection of the engine and its peers; SIZE=quick (minutes) or full (hours)
	$(PY) -m tests.benchmarks.decisions $(or $(SIZE),quick)
bench-martingale: setup ## whether evidence keeps its promise under exact nulls: 1000 runs of 1000 looks each, resumable
	$(PY) -m tests.benchmarks.martingale
bench-engine: setup ## CPU and memory of the evidence of ten metrics, after 40 minutes and after a day
	$(PY) -m tests.benchmarks.engine
crds: setup ## generate crds/ from rollout/api
	$(PY) -m rollout.api.crds crds
clean: ## remove what was made here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage dist build
