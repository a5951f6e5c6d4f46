# make demo | make test | make bundle [SMOKE=1] | make accuracy. Each works again at once when repeated.
PYTHON ?= .venv/bin/python
RUNS ?= runs
ifdef SMOKE
CONFIG = train/configs/smoke.toml
RUN = $(RUNS)/smoke
BUNDLE ?= $(RUNS)/smoke/bundle
ALLOW = --allow
else
CONFIG = train/configs/default.toml
RUN = $(RUNS)/default
BUNDLE ?= edge_runtime/bundles/default
ALLOW =
endif
PIP = .venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt
READY ?= .venv/.checkout

.PHONY: demo test lint bundle accuracy peers clean

demo: .venv/.demo
	.venv/bin/leadwire demo

test: $(READY) lint
	$(PYTHON) -m pytest

lint: $(READY)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

# The whole chain; every stage that is done is left alone, one that was interrupted goes on.
bundle: $(READY)
	$(PYTHON) -m train regress --config $(CONFIG) --runs $(RUNS)
	$(PYTHON) -m train transfer --config $(CONFIG) --runs $(RUNS)
	$(PYTHON) -m train evaluate --config $(CONFIG) --runs $(RUNS)
	$(PYTHON) -m export.proof $(RUN)
	$(PYTHON) -m export $(RUN) --out $(BUNDLE) $(ALLOW)

accuracy: $(READY)
	$(PYTHON) -m benchmarks accuracy

# The programs that `python -m benchmarks peers` holds us against, in an environment of their own.
peers: .peers/.made

.peers/.made: constraints-peers.txt
	python3.11 -m venv .peers 2>/dev/null || python3 -m venv .peers
	.peers/bin/pip install --quiet --disable-pip-version-check --requirement constraints-peers.txt
	touch $@

.venv/.made:
	python3.11 -m venv .venv 2>/dev/null || python3 -m venv .venv
	touch $@

.venv/.demo: .venv/.made pyproject.toml constraints.txt
	$(PIP) --editable '.[tflite,demo]'
	touch $@

.venv/.checkout: .venv/.made pyproject.toml constraints.txt
	$(PIP) --editable '.[tflite,tflite-legacy,onnx,wfdb,demo,dashboard,mqtt,cluster,train,export,dev]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis runs/smoke demo
