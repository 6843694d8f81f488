# The project's own commands. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup peers build up demo-site demo-board demo-run test lint unit e2e distributed soak bench openapi clean

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
SKYLIFT := $(TARGET)/release/skylift
# What tests may do, and nothing else: a panic is how a test fails.
PANICS := unwrap_used expect_used indexing_slicing string_slice get_unwrap panic \
  panic_in_result_fn unreachable unimplemented unwrap_in_result

help: ## this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## install what building and testing need (Debian, as root; else says what is missing)
	@scripts/setup.sh

peers: ## what tests run beside the platform: Redis, an S3 server, a Docker engine, two DynamoDB- and two SQS-compatible servers
	@scripts/setup.sh tests

build: setup ## the release binary
	$(CARGO) build --release --locked -p skylift

up: ## start the platform, deploy the example, print its URL, stay; SKYLIFT_UP_FLAGS='--listen ADDR:PORT' for another address
	@scripts/up.sh check
	@$(MAKE) --no-print-directory build
	@scripts/up.sh $(SKYLIFT)

demo-site: build ## from a Git remote to a live URL, step by step
	@scripts/demo-site.sh $(SKYLIFT)

demo-board: build ## the Visitor Board under load: one instance to ten and back, some of them killed
	@scripts/setup.sh board
	@scripts/demo-board.sh $(SKYLIFT)

demo-run: build ## code that is sent, run: languages, verdicts, limits, keys, and how long it takes
	@scripts/demo-run.sh $(SKYLIFT)

test: peers lint unit e2e distributed ## every kind of check, small counts, fixed seeds

lint: ## format, lints, file rules, dependencies, documentation
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --locked -- -D warnings
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings $(PANICS:%=-A clippy::%)
	$(CARGO) clippy -p skylift -p skylift-queue --features sqs --locked -- -D warnings
	scripts/tidy.sh
	scripts/deny.sh

unit: ## tests of each crate
	scripts/nextest.sh --workspace --exclude skylift-tests
	scripts/nextest.sh -p skylift-queue --features sqs -- sqs:: fauxqs:: moto::what_waits moto::what_the_queue moto::what_is_counted

e2e: ## tests of the whole, over the real executable
	$(CARGO) build --locked -p skylift
	scripts/nextest.sh -p skylift-tests

distributed: ## the same over PostgreSQL, Redis and an S3 server, started for it; and as three processes, where root may
	$(CARGO) build --locked -p skylift
	SKYLIFT_TEST_STORE=postgres scripts/with-stores.sh \
	  scripts/nextest.sh -p skylift-tests --test static_site --test queue --test archives -- --skip size::
	SKYLIFT_TEST_STORE=postgres scripts/with-stores.sh scripts/nextest.sh -p skylift-tests --test rollouts --test volumes \
	  --test templates -- goes_on_with_its_step never_has_two_writers replaces_instances_one_by_one
	scripts/with-stores.sh scripts/nextest.sh -p skylift-tests --test crash_points \
	  -- --include-ignored with_rows_on_a_server_is_told
	@if unshare --net ip link >/dev/null 2>&1; then \
	  SKYLIFT_TEST_ROLES=three scripts/with-stores.sh scripts/nextest.sh -p skylift-tests --test static_site --test queue \
	    -- --skip given_up --skip whatever_was_acknowledged && \
	  SKYLIFT_TEST_ROLES=apps scripts/with-stores.sh scripts/nextest.sh -p skylift-tests --test rollouts --test links \
	    --test scaling -- take_over_at_once a_linked_app_reaches_its_service load_brings_instances; \
	else echo "SKIPPED: three processes in network namespaces: none can be made here (root, iproute2)" >&2; fi

soak: peers ## the large counts; writes docs/figures.md
	scripts/soak.sh

bench: build ## side by side with peers; see bench/README.md
	@scripts/setup.sh bench
	$(CARGO) build --release --locked -p skylift-edge --example serve
	bench/run.sh $(SKYLIFT)

openapi: ## write docs/openapi.json from the code
	$(CARGO) run --locked -q -p skylift -- openapi > docs/openapi.json

clean: ## remove what was built
	$(CARGO) clean
