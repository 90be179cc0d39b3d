# The one task runner. `make setup` needs nothing but make and a Python >= 3.11 with venv.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo

.PHONY: setup test lint types contracts demo bench bench-quick clean

setup: $(STAMP)
	@$(BIN)/python -c 'import cv2' || { \
	echo 'error: OpenCV cannot load its system libraries' >&2; \
	echo 'hint: on Debian or Ubuntu: apt-get install libgl1 libglib2.0-0' >&2; exit 1; }

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo 'error: no Python 3.11 or newer found' >&2; \
	echo 'hint: make setup PYTHON=/path/to/python3.11' >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

test: setup lint types contracts
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
	$(MAKE) bench-quick

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

# One sample person, from recording to clip. The passphrase is for this demonstration only.
demo: export CAMEO_PASSPHRASE := demonstration only
demo: setup
	@mkdir -p $(DEMO)
	@rm -f $(DEMO)/selfie.mp4 $(DEMO)/ada.key $(DEMO)/ada.pub $(DEMO)/ada.cameo $(DEMO)/ada.html $(DEMO)/clip.mp4
	$(BIN)/cameo sample $(DEMO)/selfie.mp4
	$(BIN)/cameo keygen --out $(DEMO)/ada.key
	$(BIN)/cameo enroll $(DEMO)/selfie.mp4 --key $(DEMO)/ada.key --out $(DEMO)/ada.cameo --report $(DEMO)/ada.html --yes
	$(BIN)/cameo verify $(DEMO)/ada.cameo --owner $(DEMO)/ada.pub
	$(BIN)/cameo cast $(DEMO)/ada.cameo --key $(DEMO)/ada.key --out $(DEMO)/clip.mp4
	@echo "report: $(CURDIR)/$(DEMO)/ada.html"
	@echo "clip:   $(CURDIR)/$(DEMO)/clip.mp4"

# Everything that needs nothing but the package, three rounds each: hours. What was found goes to benchmarks/results.
bench: setup
	$(BIN)/python -m benchmarks.run

# Whether the claims that can be measured at once still hold, ratios only: two minutes.
bench-quick: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.run --quick

clean:
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
