# `make quickstart` and `make test` do everything on a fresh machine with Python 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test lint types audit gpu-check clean

$(VENV)/installed: pyproject.toml fgvr/__init__.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

quickstart: $(VENV)/installed
	HF_HUB_OFFLINE=1 $(BIN)/fgvr fit --config configs/quickstart.yaml

test: lint types
	HF_HUB_OFFLINE=1 WANDB_MODE=offline $(BIN)/python -m pytest -n 2

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

# known vulnerabilities of what is installed; asks the package index, so it needs a network
audit: $(VENV)/installed
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet pip-audit \
	|| { echo 'make audit: pip-audit cannot be installed here; it needs a network'; exit 1; }
	.venv-audit/bin/pip-audit --skip-editable --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

# with the machine's own PyTorch, which fits its driver; what else is missing is installed above it
GPU_NEEDS := faiss jsonargparse lightning open_clip pytest timm torch torchvision transformers
gpu-check:
	if $(PYTHON) -c 'import importlib; [*map(importlib.import_module, "$(GPU_NEEDS)".split())]' 2>/dev/null; \
	then $(PYTHON) scripts/gpu_check.py; \
	else $(PYTHON) -m venv --system-site-packages .venv-gpu \
	&& .venv-gpu/bin/python -m pip install --quiet --editable '.[dev]' \
	&& .venv-gpu/bin/python scripts/gpu_check.py; fi

clean:
	rm -rf $(VENV) .venv-gpu .venv-audit build dist .pytest_cache .mypy_cache .ruff_cache
