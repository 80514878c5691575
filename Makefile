# Two commands do everything on a fresh machine, and are cheap to repeat:
#
#     make train      train a GPT and watch it learn
#     make test       run every test
#     make harness    lm-evaluation-harness, inspect, the first hour;  make torture, make bench: see make help
#
# Each line below only calls support/bootstrap.py (standard library only), which makes .venv the first time; without
# make, call it yourself:  python3 support/bootstrap.py train.  Arguments:  make train ARGS="--steps 50"

PYTHON ?= python3
ARGS ?=
BOOTSTRAP := support/bootstrap.py

.DEFAULT_GOAL := help
.PHONY: help train test check harness torture bench gallery docs setup clean
# One target at a time also under -j: they would wait for each other's set-up, then mix their output.
.NOTPARALLEL:

# exec, so that Ctrl-C and kill reach the target itself.
help train test check harness torture bench gallery docs setup clean:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): install Python 3.11 or newer first." >&2; exit 1; }
	@exec $(PYTHON) $(BOOTSTRAP) $@ $(ARGS)
