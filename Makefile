# make quickstart   install, derain samples, then train for a minute or two and evaluate
# make test         install what tests need, lint, check types, test
# make test-torch   install PyTorch (large), run the tests with the authors' checkpoints
# make test-slow    the tests that take minutes
# make clean        remove what these made

PYTHON ?= python3
VENV := .venv
RUN := runs/quickstart
OUT := outputs/quickstart

.PHONY: quickstart test test-torch test-slow clean

quickstart: $(VENV)/.runtime
	$(VENV)/bin/python -m jdnet_jax derain samples -o $(OUT)/samples --overwrite
	@echo
	@echo "Derained with the weights that come with the clone: $(OUT)/samples. Now a training of its own,"
	@echo "of a tiny network for two minutes."
	@echo
	$(VENV)/bin/python train.py --config configs/quickstart.py --workdir $(RUN)
	$(VENV)/bin/python eval.py --config configs/quickstart.py --weights $(RUN) --output $(OUT) --overwrite
	$(VENV)/bin/python -m jdnet_jax derain samples/coffee_in_rain.jpg -o $(OUT)/derained.png --weights $(RUN) --overwrite
	@echo
	@echo "Look at samples/ and $(OUT)/samples/, and at $(OUT)/derained.png for what the tiny network of"
	@echo "two minutes does; its scores are in $(OUT)/table.md, its training in $(RUN)/train.log. Next: README.md, 'Train on your data'."

test: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile
	@$(VENV)/bin/python -c "import torch" 2>/dev/null || \
		echo "Not run: the tests that read and write the authors' checkpoints need PyTorch: make test-torch"

test-torch: $(VENV)/.dev
	$(VENV)/bin/pip install --quiet --disable-pip-version-check "torch>=2.10"
	$(VENV)/bin/python -m pytest tests/test_import_authors.py tests/test_import_authors_damaged.py \
		tests/test_torch_files.py

test-slow: $(VENV)/.dev
	$(VENV)/bin/python -m pytest -m slow

clean:
	rm -rf $(VENV) $(RUN) $(OUT) .jax_cache .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(VENV)/bin/python requirements.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.dev: $(VENV)/bin/python requirements.txt requirements-dev.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@ $(VENV)/.runtime
