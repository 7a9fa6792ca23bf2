# Thin targets, one idea each. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help demo test unit render functional droplet soak bench audit evidence lint format lock pins laptop clean

PYTHON := .venv/bin/python
# Tests that need nothing but themselves (functional ones share services within a file), on every processor. Those of droplets
# wait more than they compute: two sites side by side, each with a droplet that its files share.
PARALLEL := --numprocesses=auto --dist=worksteal
SITES := --numprocesses=2 --dist=loadfile --no-loadscope-reorder
# --keep-results: what functional and droplet tests find becomes part of docs/evidence.md.
RESULTS :=
PIPELINE := examples/ci/github-actions.yaml
export PYTHONDONTWRITEBYTECODE := 1

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/complete ## a droplet on this machine: converged, serving a bot, one release shipped
	$(PYTHON) -m tests.support.droplet demo

test: unit render functional droplet ## everything that guards a change

unit: .venv/complete ## pure logic, in seconds
	$(PYTHON) -m pytest $(PARALLEL) tests/unit

render: .venv/complete ## every SLS for every environment
	$(PYTHON) -m pytest $(PARALLEL) tests/render

functional: .venv/complete ## Salt's loaders over the real tree
	$(PYTHON) -m pytest $(PARALLEL:worksteal=loadfile) $(RESULTS) tests/functional

droplet: .venv/complete ## end to end on local droplets
	$(PYTHON) -m pytest $(SITES) --durations=60 --durations-min=10 $(RESULTS) tests/droplet

soak: .venv/complete ## what takes long, several hours (one file: pytest tests/soak/test_NAME.py); writes docs/measurements/soak.md
	$(PYTHON) -m pytest tests/soak

bench: .venv/complete ## what converging, a droplet and releases cost, beside what others' cost; writes docs/measurements/*-bench.md
	$(PYTHON) -m bench

audit: .venv/complete ## what lynis, ssh-audit and others say of a droplet; writes docs/audit
	$(PYTHON) -m audit

evidence: .venv/complete ## every promise of the specification with what shows it; writes docs/evidence.md
	$(PYTHON) -m evidence

lint: .venv/complete ## style, types, YAML, shell, the example of a pipeline
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/yamllint --strict .
	.venv/bin/shellcheck bootstrap.sh formulas/minion/files/install-salt salt/marketplace/files/check-postgresql-conf .ci/run bench/peer/scale \
		$(addprefix tests/support/droplet/images/,acme/start droplet/boot droplet/init postgres/docker-entrypoint.sh redis/docker-entrypoint.sh)
	.venv/bin/check-jsonschema --quiet --builtin-schema vendor.github-workflows $(PIPELINE)
	.venv/bin/zizmor --offline --quiet --persona=auditor $(PIPELINE)

format: .venv/complete ## let ruff lay out the Python
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

# --no-emit-package timelib: it has no wheel, would need a compiler, and nothing here uses what Salt uses it for.
LOCK := .venv/bin/uv pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url \
	--no-emit-find-links --no-emit-package timelib --upgrade
lock: .venv/complete ## refresh the hash-locked lists of Python packages
	$(LOCK) --universal --python-version 3.11 formulas/minion/files/requirements.in -o formulas/minion/files/requirements.txt
	$(LOCK) --universal --python-version 3.11 --group pyproject.toml:dev examples/marketplace/pyproject.toml \
		-o requirements/dev.txt
	$(LOCK) --universal --python-version 3.11 examples/marketplace/pyproject.toml -o examples/marketplace/requirements.txt
	$(LOCK) --python-version 3.13 tests/support/botapi/requirements.in -o tests/support/botapi/requirements.txt
	$(LOCK) --python-version 3.13 tests/support/storage/requirements.in -o tests/support/storage/requirements.txt

pins: .venv/complete ## refresh image tags and digests from their registry, and show the difference
	$(PYTHON) tools/pins.py --write
	@git --no-pager diff -- pillar/base/init.sls

laptop: ## salt-ssh, ready in this checkout: to converge droplets from here
	python3 tools/laptop.py

clean: ## throw away the demo, and everything else that was made here
	@if [ -e .venv/complete ]; then $(PYTHON) -m tests.support.droplet clean; \
	else echo "without .venv nobody knows of droplets: make .venv/complete clean looks for them"; fi
	rm -rf .venv .salt-ssh .hypothesis .mypy_cache .ruff_cache .pytest_cache

.venv/complete: requirements/dev.txt
	python3 -m venv --clear .venv || { apt-get update -qq && apt-get install -qq -y python3-venv && python3 -m venv --clear .venv; }
	awk '/^[a-z]/ { keep = /^setuptools==/ } keep' requirements/dev.txt > .venv/build.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/build.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --require-hashes -r requirements/dev.txt
	@touch $@
