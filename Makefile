# make quickstart   install, train for a minute or two, evaluate, derain a sample
# make test         install what tests need, lint, check types, test
# make test-slow    the tests that take minutes
# make clean        remove what these made

PYTHON ?= python3
VENV := .venv
RUN := runs/quickstart
OUT := outputs/quickstart

.PHONY: quickstart test test-slow clean

quickstart: $(VENV)/.runtime
	$(VENV)/bin/python train.py --config configs/quickstart.py --workdir $(RUN)
	$(VENV)/bin/python eval.py --config configs/quickstart.py --checkpoint $(RUN) --output $(OUT) --overwrite
	$(VENV)/bin/python -m jdnet_jax derain samples/coffee_in_rain.jpg -o $(OUT)/derained.png --weights $(RUN) --overwrite
	@echo
	@echo "Look at samples/coffee_in_rain.jpg and $(OUT)/derained.png; the scores are in $(OUT)/table.md,"
	@echo "the training in $(RUN)/train.log. Next: README.md, 'Train on your data'."

test: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

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
