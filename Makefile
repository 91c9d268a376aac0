# On a machine with Python 3.11 (or newer) and make, every target sets up what it needs in .venv, once.
#
#   make demo        cut the cars out of the example clip
#   make test        the tests                    make test-fast   those that take no longer than a few seconds
#   make test-thorough  the tests and whole sweeps, of which make test has a part
#   make test-s3     the tests with a server that speaks S3, beside which other releases of some packages stand
#   make browser     a browser and the checks of JavaScript, for the tests of the page, where they can be installed
#   make check       style, types, import rule
#   make wheel       build the wheel, install it alone in a new environment, and try it away from the repository
#   make coverage    the lines of src that the tests run, those of ROOMS only if it names some (ROOMS="masks formats")
#   make mutants     change src a little, line by line, and see if the tests notice: hours; MUTATED names the files
#   make docs        the site of the documentation, into build/site: open build/site/index.html
#   make numbers     write the tables of docs anew from benchmarks/results
#   make figures     draw the pictures of explained.md, limits.md and formats.md in docs, and of the README, again
#   make notebooks   execute docs/notebooks again, and keep what they show
#   make fuzz        damage, faults and command lines at random, for hours; MUTANTS, KIND, SEED and EVERY say how many
#   make fuzz-parsers  parsers of strangers' bytes, guided by coverage, SECONDS each; PARSER names some of them
#   make audit       known vulnerabilities of the dependencies
#   make bench       time and memory on this machine; with DATA and PICTURES, accuracy too; with RECORD=1 the results
#                    are kept in benchmarks/results, for make numbers
#   make clean       remove what the targets made, except for .venv
#
# Variables: PYTHON (which interpreter), WORKERS (processes that test), DATA (a DAVIS
# tree) and PICTURES (a folder of data sets of pictures with masks) for what needs data among the benchmarks, and
# TORCH_INDEX (where torch comes from): on Linux the default index has the CUDA build, some gigabytes, so a machine without
# nvidia-smi takes the CPU build from pytorch.org, if it can be reached.

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
# One more than two cores: some wait for the processes and the browser that they drive.
WORKERS ?= 3
DATA ?=
PICTURES ?=
MUTANTS ?= 300
KIND ?=
SEED ?= 0
EVERY ?= 1
SECONDS ?= 60
PARSER ?= rle mask journal prompts structure
RECORD ?=
ROOMS ?=
MUTATED ?= coattention resize masks formats journal
TORCH_INDEX ?=

# Some images for containers set it: the tests, and each process that they start, would then compile all files again.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
INSTALLED := .venv/installed
READY := .venv/ready
TORCH_CPU := https://download.pytorch.org/whl/cpu
# Twice quiet below: only errors. Its warnings are about the machine's pip settings.
PIP := $(BIN)/python -m pip --disable-pip-version-check
# What is large is said when it is fetched, and what all took.
INSTALL := $(BIN)/python .ci/install.py

.PHONY: help demo compiled test test-fast test-thorough test-s3 browser check fuzz fuzz-parsers audit wheel coverage mutants docs numbers \
	figures notebooks clean bench bench-alone bench-davis bench-pictures
# Side by side, the benchmarks would time one another.
.NOTPARALLEL:

help:
	@awk '/^$$/ { exit } { sub(/^# ?/, ""); print }' Makefile

demo: $(INSTALLED)
	@$(BIN)/covos segment examples/car.mp4 -o out/demo -y

# All files of the tests, as pytest compiles them. Else each process that tests does this at its begin.
compiled: $(READY)
	@$(BIN)/pytest -n 0 -qq --collect-only >/dev/null

# A test that fails is run once more, and listed: many drive processes, signals or a browser, and a machine may stall.
# Each worker begins with half of all tests, in order, and takes of the other's in the end: what a module shares is made once.
test: $(READY)
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal --reruns 1 -rR -m "not thorough"

test-thorough: $(READY)
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal --hypothesis-profile thorough

test-fast: $(READY)
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow and not thorough"

# The server wants an older dateutil than others do: its packages lie in a folder that these tests alone look into.
test-s3: $(READY)
	@$(PIP) -qq install --no-warn-conflicts --upgrade --target build/s3 --group s3
	@PYTHONPATH=build/s3 $(BIN)/pytest tests/fleet/test_s3.py

# Without them the tests of the page are skipped, and say so.
browser:
	@for name in chromium-headless-shell chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit; done; \
		test "$$(id -u)" = 0 && timeout 120 apt-get -qq update && for name in chromium-headless-shell chromium; do \
		timeout 300 apt-get -qq install -y --no-install-recommends $$name >/dev/null 2>&1 && exit; done; \
		echo "chromium cannot be installed here"
	@cd tests/serve/browser && { test -d node_modules || npm install --no-audit --no-fund --silent --fetch-retries=1 --fetch-timeout=60000; } || \
		echo "the checks of JavaScript cannot be installed here: they need npm"

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(READY)
	cd tests && ../$(BIN)/python -m faults.measure --mutants $(MUTANTS) --seed $(SEED) --every $(EVERY) --kind "$(KIND)"
	FUZZ_EXAMPLES=2000 $(BIN)/pytest tests/faults/test_commands.py

# atheris has wheels for Linux and some versions of Python: nobody else needs it.
fuzz-parsers: $(READY)
	@$(PIP) -qq install --group fuzz
	cd tests && for parser in $(PARSER); do \
		../$(BIN)/python -m faults.fuzz_parsers $$parser -max_total_time=$(SECONDS) -verbosity=0 || exit 1; done

audit: $(READY)
	@$(PIP) -qq install --group audit
	$(BIN)/pip-audit -r constraints.txt --no-deps --disable-pip

wheel: $(INSTALLED)
	@rm -rf build/wheel
	@$(PIP) -qq wheel --no-deps -w build/wheel .
	@$(torch_index); TORCH_INDEX="$$index" $(BIN)/python .ci/alone.py build/wheel/*.whl

# Processes that the tests start are counted, too. ROOMS="masks runs" measures these alone, by their own tests.
coverage: $(READY)
	@rm -rf build/coverage
	@$(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal -m "not thorough" $(addprefix tests/,$(ROOMS)) || echo "some tests failed"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report $(if $(ROOMS),--include="$(subst $(space),$(comma),$(foreach room,$(ROOMS),*/covos/$(room)/*))")

# mutmut needs os.fork: Linux and macOS.
mutants: $(READY)
	@$(PIP) -qq install -c constraints.txt --group mutants
	@$(BIN)/python benchmarks/mutants.py $(MUTATED) --children $(WORKERS)

# The site is checked strictly: a link that leads nowhere ends the build. The variable silences an advertisement.
docs: $(READY)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "open build/site/index.html"

numbers: $(READY)
	@$(BIN)/python benchmarks/recorded.py

figures: $(READY)
	$(BIN)/python docs/tools/figures.py
	$(BIN)/python docs/tools/film.py

notebooks: $(READY)
	@$(BIN)/python docs/notebooks/execute.py --store

comma := ,
space := $() $()
keep = $(if $(RECORD),--json benchmarks/results/$(1).json)

# Not among them: ablations.py, which trains for hours.
bench: bench-alone $(if $(DATA),bench-davis) $(if $(PICTURES),bench-pictures)

bench-alone: $(READY)
	$(BIN)/python benchmarks/segment.py $(call keep,segment)
	$(BIN)/python benchmarks/runtimes.py $(call keep,runtimes)
	$(BIN)/python benchmarks/stages.py $(call keep,stages)
	$(BIN)/python benchmarks/encoder.py
	$(BIN)/python benchmarks/formats.py $(call keep,formats)
	$(BIN)/python benchmarks/records.py $(call keep,records)
	$(BIN)/python benchmarks/kept_memory.py $(call keep,kept_memory)
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/cosnet.py
	$(BIN)/python benchmarks/from_the_seed.py
	$(BIN)/python benchmarks/refine.py
	$(BIN)/python benchmarks/follow.py --objects 1 3 10
	$(BIN)/python benchmarks/objects.py $(call keep,objects)
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/house.py
	$(BIN)/python benchmarks/newcomer.py $(if $(RECORD),--whole) $(call keep,newcomer)
	$(BIN)/python benchmarks/readability.py $(call keep,readability)
	$(BIN)/python benchmarks/trace.py
	$(BIN)/python benchmarks/damage.py
	$(BIN)/python benchmarks/memory.py --quality balanced best $(call keep,memory)
	$(BIN)/python benchmarks/shards.py
	$(BIN)/python benchmarks/memory_long.py --floor $(call keep,memory_long)
	$(BIN)/python benchmarks/memory_long.py $(call keep,memory_long)
	$(BIN)/python benchmarks/matte.py $(call keep,matte)
	$(BIN)/python benchmarks/live_pipe.py
	$(BIN)/python benchmarks/batch.py --errands 40 --ray $(call keep,batch)
	$(BIN)/python benchmarks/serve.py $(call keep,serve)
	$(BIN)/python benchmarks/serve.py --minutes 10 --size 256x144 --known $(call keep,serve)

bench-davis: $(READY)
	$(BIN)/python benchmarks/shards.py --data "$(DATA)" --files 0
	$(BIN)/python benchmarks/reproduce.py --data "$(DATA)" --quality balanced best $(call keep,reproduce)
	$(BIN)/python benchmarks/accuracy.py --data "$(DATA)" $(call keep,accuracy)
	$(BIN)/python benchmarks/accuracy.py --data "$(DATA)" --quality draft fast balanced best $(call keep,accuracy)
	$(BIN)/python benchmarks/apart.py --data "$(DATA)" $(call keep,apart)
	$(BIN)/python benchmarks/plain_alpha.py --data "$(DATA)" $(call keep,plain_alpha)
	$(BIN)/python benchmarks/attention.py --data "$(DATA)"
	$(BIN)/python benchmarks/runtimes.py --rounds 0 --runs 0 --masks 0 --data "$(DATA)" $(call keep,runtimes)
	$(BIN)/python benchmarks/int8.py --data "$(DATA)" $(call keep,int8)
	$(BIN)/python benchmarks/quality.py --data "$(DATA)" $(call keep,quality)
	$(BIN)/python benchmarks/quality.py --data "$(DATA)" --follow $(call keep,quality)
	$(BIN)/python benchmarks/cuts.py --data "$(DATA)" $(call keep,cuts)
	$(BIN)/python benchmarks/around.py --data "$(DATA)" $(call keep,around)
	$(BIN)/python benchmarks/between.py --data "$(DATA)"
	$(BIN)/python benchmarks/beside_rembg.py --data "$(DATA)" $(call keep,beside_rembg)
	$(BIN)/python benchmarks/live.py --data "$(DATA)" --frames 10 --mask $(call keep,live)
	$(BIN)/python benchmarks/clicks.py --data "$(DATA)" $(call keep,clicks)
	$(BIN)/python benchmarks/corrections.py --data "$(DATA)" $(call keep,corrections)
	$(BIN)/python benchmarks/corrections.py --data "$(DATA)" --page --every 4 $(call keep,corrections)
	$(BIN)/python benchmarks/refine.py --data "$(DATA)" $(call keep,refine)
	$(BIN)/python benchmarks/follow.py --data "$(DATA)" $(call keep,follow)
	$(BIN)/python benchmarks/follow.py --data "$(DATA)" --quality draft fast balanced best $(call keep,follow)
	$(BIN)/python benchmarks/follow.py --data "$(DATA)" --subset train --each 4 --apart 1 2 4 $(call keep,follow)
	$(BIN)/python benchmarks/follow.py --data "$(DATA)" --subset train --each 8 --twins --without focus $(call keep,follow)
	$(BIN)/python benchmarks/discover.py --data "$(DATA)" --subset train --crowds 8 $(call keep,discover)
	$(BIN)/python benchmarks/calibration.py --davis "$(DATA)"

bench-pictures: $(READY)
	$(BIN)/python benchmarks/composed.py --data "$(PICTURES)"
	$(BIN)/python benchmarks/pictures.py --data "$(PICTURES)" --quality draft balanced best $(call keep,pictures)
	$(BIN)/python benchmarks/objects.py --data "$(PICTURES)" $(call keep,objects)
	$(BIN)/python benchmarks/shadows.py --data "$(PICTURES)" $(call keep,shadows)
	$(BIN)/python benchmarks/calibration.py --data "$(PICTURES)"
	$(BIN)/python benchmarks/confidence.py --data "$(PICTURES)"
	$(BIN)/python benchmarks/parts.py --pictures "$(PICTURES)/multi_pictures"
	$(BIN)/python benchmarks/jpegs.py "$(PICTURES)"

clean:
	rm -rf out build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks docs examples -name __pycache__ -prune -exec rm -rf {} +

# Sets index, for the shell.
torch_index = index="$(TORCH_INDEX)"; test -n "$$index" || test "$$(uname -s)" != Linux || command -v nvidia-smi >/dev/null || \
	! $(BIN)/python -c "import urllib.request as u; u.urlopen('$(TORCH_CPU)/torch/', timeout=5)" 2>/dev/null || index=$(TORCH_CPU)

# Set up again whenever the dependencies change. torch goes first, alone, because only it comes from TORCH_INDEX.
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "covos needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python"; exit 1; }
	@test -x $(BIN)/python || { echo "setting up .venv with $(PYTHON)"; "$(PYTHON)" -m venv .venv; } || \
		{ rm -rf .venv; echo "$(PYTHON) cannot make virtual environments: on Debian and Ubuntu install python3-venv"; exit 1; }
	@$(PIP) -qq install --upgrade -c constraints.txt pip
	@$(torch_index); \
		$(INSTALL) "torch, the large one$${index:+, from $$index}" --no-deps -c constraints.txt $${index:+--index-url $$index} torch
	@$(INSTALL) "covos and the rest" -c constraints.txt -e '.[serve]'
	@touch $(INSTALLED)

$(READY): $(INSTALLED)
	@$(INSTALL) "what the tests need" -c constraints.txt -e '.[serve,train]' --group dev --group docs
	@$(INSTALL) "what the tests need by itself" -c constraints.txt --no-deps --group alone
	@touch $(READY)
