# Everything needs only Python 3.11+ and make: uv is fetched, and uv brings the rest, as uv.lock has it.
PYTHON ?= python3
export UV_FROZEN := 1
# Programs are started hundreds of times: each would compile all of its libraries anew, which takes twice as long as to run.
unexport PYTHONDONTWRITEBYTECODE
UV := $(shell .ci/uv --where)
RUN := .venv/bin

.PHONY: demo test check rules types bench eval owasp test-cluster cluster-server servers clean help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.cache/synced: pyproject.toml uv.lock .ci/uv .ci/libraries
	@PYTHON=$(PYTHON) .ci/uv
	@$$(.ci/uv --where) sync --quiet
	@.ci/libraries
	@mkdir -p .cache && touch $@

# Whoever sits at a terminal is asked; without one, the whole incident is still shown.
demo: .cache/synced  ## one whole incident on a simulated cluster, from alert to report (SCENARIO=name, ARGS=--yes)
	@$(RUN)/lestrade demo $(SCENARIO) $$([ -t 0 ] || echo --yes) $(ARGS)

test: .cache/synced servers  ## every test (LESTRADE_STORM_SECONDS=60: a storm of a minute; LESTRADE_OPENAPI_EXAMPLES=100: more generated calls)
	$(RUN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: rules types  ## ruff, mypy, import contracts, manifests, policies, runbooks (make -j 2 check: on two cores)

rules: .cache/synced
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/lint-imports --no-cache
	$(RUN)/lestrade-sidecar policy check policies
	$(RUN)/lestrade runbooks lint
	@.ci/servers
	$(RUN)/python -m tests.manifests

types: .cache/synced
	$(RUN)/mypy

owasp: .cache/synced servers  ## docs/owasp-agentic.md, written from the results of the abuse tests
	-$(RUN)/python -m pytest tests/abuse tests/cluster -q -n 2 --dist loadfile --deselect tests/abuse/test_every_row.py --junitxml=.cache/abuse.xml
	$(RUN)/python -m tests.abuse.matrix .cache/abuse.xml

# PYTHON=/usr/bin/python3 measures with that one, in an environment of its own: the image's is built with profile-guided
# optimisation, as Debian's is, and one that pyenv built is not.
bench: .cache/synced servers  ## the budgets of the design, measured (ROWS="plan lease", PYTHON=/usr/bin/python3: with that one)
ifeq ($(origin PYTHON),file)
	$(RUN)/python -m tests.bench $(ROWS)
else
	@UV_PROJECT_ENVIRONMENT=.cache/bench $(UV) sync --quiet --python $(PYTHON)
	.cache/bench/bin/python -m tests.bench $(ROWS)
endif

# Without RECORDINGS: those that the tests use, where they are. MODEL=name asks that model too, where LESTRADE_MODEL_URL says.
eval: .cache/synced  ## how well incidents are answered: recordings (RECORDINGS=folder), the laboratory, with a model (MODEL=name, ARGS=--no-lab)
	@$(RUN)/lestrade eval $(or $(RECORDINGS),$(shell $(RUN)/python -m tests.recordings.place)) $(if $(MODEL),--model "$(MODEL)") $(ARGS)

CONTROLPLANE = $(CURDIR)/.cache/bin/controlplane
# What asks the laboratory's API server elsewhere asks the real one here: the abuse of leases, rules and plans, and kubectl.
OF_THE_API_SERVER = $(addprefix tests/abuse/test_,admission.py leases.py gateway.py dry_run.py rules.py plan_documents.py) \
	$(addprefix tests/sidecar/process/test_,kubectl.py lab_way.py kill.py edges.py)

# A control plane of its own is built once (nine minutes of a core) and kept by version in the user's cache.
test-cluster: .cache/synced  ## the end-to-end suite on a real control plane: one of its own, or LESTRADE_TEST_KUBECONFIG's
	@[ -n "$$LESTRADE_TEST_KUBECONFIG" ] || .ci/servers controlplane
	LESTRADE_TEST_CONTROLPLANE=$(CONTROLPLANE) $(RUN)/python -m pytest tests/cluster -m cluster $(ARGS)
	@[ -n "$$LESTRADE_TEST_KUBECONFIG$(ARGS)" ] || LESTRADE_TEST_CONTROLPLANE=$(CONTROLPLANE) $(RUN)/python -m pytest $(OF_THE_API_SERVER)

cluster-server: .cache/synced  ## a real control plane with hollow nodes, until interrupted (SCENARIO=name, KUBECONFIG_FILE=path)
	@.ci/servers controlplane
	@$(RUN)/python -m tests.cluster.standing $(or $(KUBECONFIG_FILE),.cache/cluster.kubeconfig) $(SCENARIO)

servers: .cache/synced
	@.ci/servers

clean:
	rm -rf .venv .cache
