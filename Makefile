# What one types here. Each target works on a fresh clone: it needs the Rust toolchain, and what touches the template or
# the emulator also needs Python 3.11 with venv; everything else is installed on first use into .venv/ and .tools/.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

FUNCTIONS := $(notdir $(wildcard functions/*))
# With the version, because crates.io has a `quote` too, and most of our dependencies use it.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
PACKAGES := $(patsubst %,-p%@$(VERSION),$(FUNCTIONS))
NEXTEST_VERSION := 0.9.143
DENY_VERSION := 0.20.2

# Where `cargo nextest` and `cargo deny` are found if the machine does not have them.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
# No account is needed for any of this; the template is checked for this region.
export AWS_DEFAULT_REGION ?= eu-central-1
export SAM_CLI_TELEMETRY := 0

SAM := .venv/template/bin/sam
CFN_LINT := .venv/template/bin/cfn-lint
TEMPLATE_PYTHON := .venv/template/bin/python
STACK_PYTHON := .venv/stack/bin/python
CARGO_LAMBDA := .venv/stack/bin/cargo-lambda lambda

.PHONY: help run demo test stack provider receipts bench build fmt lint tools
help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-10s %s\n", $$1, $$2 }'

run: ## Start everything in one process on one loopback port, data in .parkade/
	cargo run -p parkade-local --bin parkade

demo: ## Play the main job against the running server: search, reserve, pay, enter, leave
	cargo run -p parkade-local --bin parkade -- demo

# ---------------------------------------------------------------------------------------------------------------- test --
test: lint template doc test-doc test-all provider receipts stack ## Everything CI runs

.PHONY: format-check clippy deny template doc test-doc test-all
lint: format-check clippy deny ## Formatting, lints and dependencies

format-check:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets -- -D warnings

deny: | .tools/deny-$(DENY_VERSION)
	cargo deny --log-level error check --hide-inclusion-graph bans licenses sources

template: .venv/template/.done
	$(CFN_LINT) template.yaml infra/*.yaml
	$(SAM) validate --lint
	$(TEMPLATE_PYTHON) -m unittest discover --start-directory tests/stack

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

test-doc:
	cargo test --workspace --doc --quiet

test-all: | .tools/nextest-$(NEXTEST_VERSION)
	cargo nextest run --workspace --profile $(if $(CI),ci,default)

# The money suite of `make test`, twenty times as long.
.PHONY: money
money: ## Twenty thousand payments at a fault rate of 20 % (half an hour, so not part of `make test`)
	PARKADE_PAYMENTS=20000 cargo test -p parkade-tests --test money -- --nocapture

.PHONY: mutants
mutants: ## Break the store on purpose and see whether the suites notice (minutes, so not part of `make test`)
	tests/mutants.py

fmt: ## Format the code
	cargo fmt --all

# -------------------------------------------------------------------------------------------------------------- deploy --
# One build for all functions: separate ones would compile the same dependencies for each.
build: .venv/stack/.done ## Build what `sam deploy` uploads: every function, optimised, for arm64
	$(CARGO_LAMBDA) build --release --arm64 $(PACKAGES)

# The same code without link-time optimisation, which takes half an hour for all functions on two cores.
STACK_PROFILE ?= stack
stack: .venv/stack/.done ## Deploy template.yaml to a local AWS emulator and play the demo through it
	cargo build -p parkade-local -p parkade-twin --bins
	$(CARGO_LAMBDA) build --compiler cargo --profile $(STACK_PROFILE) $(PACKAGES)
	$(STACK_PYTHON) tests/stack

provider: .venv/provider/.done .tools/stateful-mock/.done ## Check the payment twin with Stripe's official client and against other fakes
	cargo build -p parkade-twin --bins
	.venv/provider/bin/python tests/provider

# The browser comes out of a package; nothing of it is installed on the machine.
receipts: .tools/receipts/.done ## Open receipts in a browser: accessible, styled, without scripts; and read the PDFs
	cargo run -p parkade-receipts --example samples -- .tools/receipts/samples
	cp tests/receipts/check.mjs .tools/receipts/
	PATH=$(CURDIR)/.venv/provider/bin:$$PATH node .tools/receipts/check.mjs .tools/receipts/samples

# The functions with link-time optimisation, as they are deployed: half an hour the first time.
# All functions take half an hour to link on two cores; BENCH_FUNCTIONS="reserve expire-holds" measures only these.
BENCH_FUNCTIONS ?= $(FUNCTIONS)
export BENCH_FUNCTIONS
bench: ## Measure what the README claims, on the release binaries (needs valgrind)
	@command -v valgrind > /dev/null || { echo "valgrind is missing: apt-get install valgrind"; exit 1; }
	cargo build --release $(patsubst %,-p%@$(VERSION),$(BENCH_FUNCTIONS)) -p parkade-size
	cargo run --profile measure -p parkade-bench
	cargo bench -p parkade-domain
	cargo bench -p parkade-ledger

# --------------------------------------------------------------------------------------------------------------- tools --
tools: .venv/template/.done .venv/stack/.done .venv/provider/.done .tools/stateful-mock/.done .tools/receipts/.done .tools/nextest-$(NEXTEST_VERSION) .tools/deny-$(DENY_VERSION) ## Install what the other targets need

# An environment each, because the emulator and the SAM CLI want different versions of the same library.
.venv/template/.done: infra/requirements.txt
.venv/stack/.done: tests/stack/requirements.txt
.venv/provider/.done: tests/provider/requirements.txt
.venv/%/.done:
	rm -rf $(@D)
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps -r $<
	touch $@

# With the Node that came from PyPI, so that a machine needs none.
.tools/stateful-mock/.done: tests/provider/package.json tests/provider/package-lock.json | .venv/provider/.done
	rm -rf $(@D)
	mkdir -p $(@D)
	cp tests/provider/package.json tests/provider/package-lock.json $(@D)
	cd $(@D) && PATH=$(CURDIR)/.venv/provider/bin:$$PATH npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

.tools/receipts/.done: tests/receipts/package.json tests/receipts/package-lock.json | .venv/provider/.done
	rm -rf $(@D)
	mkdir -p $(@D)
	cp tests/receipts/package.json tests/receipts/package-lock.json $(@D)
	cd $(@D) && PATH=$(CURDIR)/.venv/provider/bin:$$PATH npm ci --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# Unoptimised builds of these tools run for a second or two and compile in one minute instead of many.
.tools/nextest-%:
	mkdir -p $(@D)
	cargo nextest --version 2>/dev/null | grep -qF $* || \
		cargo install cargo-nextest@$* --locked --debug --no-default-features --root .tools
	touch $@

.tools/deny-%:
	mkdir -p $(@D)
	cargo deny --version 2>/dev/null | grep -qF $* || \
		cargo install cargo-deny@$* --locked --debug --no-default-features --root .tools
	touch $@
