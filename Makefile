# The commands of this repository. `make` alone explains them. Everything long is in a script that can be read and run by itself.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Not named CLUSTER: that is what a user sets, and make would hand its own value on to the scripts.
CLUSTER_SCRIPTS := e2e/cluster
DEMO := e2e/demo
SCRIPTS := $(shell git ls-files --cached --others --exclude-standard '*.sh' .ci/run 2>/dev/null)
CHART := charts/keystore-operator
PLUGIN_DIR ?= $(HOME)/.local/bin

.PHONY: help demo down plugin test test-unit test-integration test-machine e2e bench fuzz lint fmt deny generate verify images

help: ## Explain the commands
	@printf 'keystore-operator: AWS-KMS-compatible keys in an HSM cluster that you control, on Kubernetes.\n\n'
	@printf 'Start with "make demo": a real cluster, the product in it, and an AWS CLI that talks to it.\n\n'
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'
	@printf '\nBuilt tools are cached in $$KEYSTORE_CACHE (default ~/.cache/keystore-operator), one folder per version; delete it at any time.\n'

demo: ## From nothing to `aws kms encrypt` on kind: cluster, images, chart, quickstart (cold about 15 min, again under 90 s)
	@$(DEMO)/demo.sh up

down: ## Delete every trace: clusters of demo and tests, private Docker daemon, images (the cache of built tools stays)
	@$(DEMO)/demo.sh down

plugin: ## Install `kubectl keystore` (status, recover) into ~/.local/bin, or into PLUGIN_DIR
	cargo build --locked --release --package kubectl-keystore
	install -D target/x86_64-unknown-linux-gnu/release/kubectl-keystore $(PLUGIN_DIR)/kubectl-keystore
	@echo "installed $(PLUGIN_DIR)/kubectl-keystore; with that folder on the PATH: kubectl keystore --help"

test: lint test-unit test-integration e2e ## Everything that proves the project (about 27 min with the tools cached)

# One build for every tier: each selection of packages would resolve its own set of features and compile half the graph again.
test-unit: ## Tests without a cluster
	cargo build --locked --workspace --all-targets
	cargo test --locked --workspace --lib --bins --test generated_files --test structure --test wire --test nested_tls --test hsm_cluster

test-integration: ## Tests against a real kube-apiserver and etcd, with our programs as processes
	cargo build --locked --workspace --all-targets
	tools=$$($(CLUSTER_SCRIPTS)/binaries.sh all) && aws=$$($(DEMO)/aws-cli.sh) && export KEYSTORE_BIN=$$tools:$$aws && cargo test --locked --workspace --test integration -- --test-threads=4

e2e: ## Tests on kind with the chart installed; with CLUSTER=existing on the cluster of your kubeconfig, without those that break nodes
	export BUILD_TARGETS=--all-targets && settings=$$($(DEMO)/test-cluster.sh) && eval "$$settings" && cargo test --locked --workspace $$E2E_TESTS -- --test-threads=1 --nocapture

test-machine: ## What "up" heals after unclean ends, that "down" leaves the machine as it was, CLUSTER=existing (root, 10 min, no part of "test")
	$(CLUSTER_SCRIPTS)/unclean.sh
	$(CLUSTER_SCRIPTS)/existing-test.sh

# The profile `bench` is `release` with symbols: its programs lie in the folder `release`.
bench: ## Speed of the data path next to its ceilings, and CPU time per operation (about 5 min; BENCH=--quick 1 min, BENCH=--help)
	cargo build --locked --profile bench --package bench --package hsm-sim
	target/x86_64-unknown-linux-gnu/release/bench $(BENCH)

fuzz: ## Fuzz frames, commands, sessions, signatures, JSON, ciphertexts and volumes, FUZZ_SECONDS (60) each
	e2e/fuzz/run.sh

lint: ## Formatting, clippy, shellcheck, Helm lint, generated files, banned crates, no skipped tests
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(CLUSTER_SCRIPTS)/packages.sh lint
	shellcheck --external-sources --source-path=SCRIPTDIR $(SCRIPTS)
	$(CLUSTER_SCRIPTS)/binaries.sh helm >/dev/null
	charts/lint.sh
	.ci/bans.sh
	@$(MAKE) verify

fmt: ## Format the Rust code
	cargo fmt --all

deny: ## Licences, sources, bans and advisories, with cargo-deny (which takes minutes to install)
	@command -v cargo-deny >/dev/null || { echo 'cargo-deny is missing: cargo install --locked cargo-deny'; exit 1; }
	cargo deny --locked check bans licenses sources
	cargo deny --locked check advisories || { echo 'NOTE: advisories were not checked, or one was found: see above'; exit 1; }

generate: ## Regenerate crds/ and the chart's copy of it from the Rust types, and the table of what the roles grant
	.ci/generate.sh .

verify: ## Regenerate in a copy and fail if it differs
	.ci/generate.sh --check

images: ## Build the container images into target/images
	$(DEMO)/images.sh build
