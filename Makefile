# The commands people type. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

unit_tests := 'packages/*/src/**/!(*.integration).test.ts' 'test/testkit/**/!(*.integration).test.ts' \
  'tools/**/!(*.tidy).test.ts'
integration_tests := 'packages/!(metadata)/src/**/*.integration.test.ts' \
  'packages/metadata/src/!(etcd)/**/*.integration.test.ts' \
  'test/testkit/**/*.integration.test.ts' 'test/integration/**/*.test.ts'
raft_tests := 'packages/metadata/src/etcd/**/*.integration.test.ts' 'test/raft/**/*.test.ts'

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: packages ## Start a coordinator and three agents with a sample workload; twice is harmless
	@tools/install/debian.sh cluster
	@tools/local-cluster/run.sh up

.PHONY: down
down: ## Stop what `make up` started and leave nothing behind; DATA=1 also removes the data
	@tools/local-cluster/run.sh down $(if $(filter 1,$(DATA)),--data)

.PHONY: status
status: packages ## Show the nodes and replicas of the running cluster
	@tools/local-cluster/run.sh status

.PHONY: power-off
power-off: ## Take the power from one machine of the running cluster: NODE=agent-2
	@tools/local-cluster/run.sh power-off $(NODE)

.PHONY: build
build: packages ## Check that everything type-checks and every program loads
	@tsc --noEmit
	@for program in bin/*; do "$$program" --version >/dev/null && echo "ok $$program"; done

.PHONY: test
test: lint test-unit test-integration ## Everything: lint, unit, property and integration tests (root; under 10 minutes)

.PHONY: test-unit
test-unit: packages ## Unit and property tests, in two halves side by side; each says what it found when it is done
	@$(MAKE) --jobs=2 --output-sync=target test-unit-half-1 test-unit-half-2

test-unit-half-%: packages
	@node --test --test-isolation=none --test-shard=$*/2 $(unit_tests)

.PHONY: test-integration
test-integration: packages ## Tests with real containers, hosts and programs (root)
	@tools/install/debian.sh tests
	@node --test --test-concurrency=1 $(integration_tests)

.PHONY: test-faults
test-faults: packages ## Machines, disks, links and programs that fail under real containers (root)
	@tools/install/debian.sh tests
	@node --test --test-concurrency=1 'test/faults/**/*.test.ts'

.PHONY: test-raft
test-raft: packages ## Members of etcd, from one coordinator to several and back, backups and disasters (root)
	@tools/install/debian.sh tests
	@node --test --test-concurrency=1 $(raft_tests)

.PHONY: test-chaos
test-chaos: packages ## What takes minutes: services under clients while machines come and go, coordinators that fail; RUNS=, CHAOS_SEED= (root)
	@tools/install/debian.sh tests
	@node --test --test-concurrency=1 'test/chaos/**/*.test.ts'

.PHONY: coverage
coverage: packages ## Unit test coverage by package, against what each must reach
	@node tools/coverage/main.ts $(unit_tests)

.PHONY: benchmark
benchmark: packages ## Print the figures we publish, measured here (root)
	@tools/install/debian.sh tests
	@shopt -s nullglob; for figure in bench/*.bench.ts; do node "$$figure"; done

.PHONY: simulate
simulate: packages ## Hours of a whole cluster with faults, checked at every step: HOURS=10, MINUTES=, FROM=1; or SEED=n with its trace
	@node packages/simulation/src/main.ts $(if $(SEED),--seed $(SEED)) $(if $(HOURS),--hours $(HOURS)) \
	  $(if $(MINUTES),--minutes $(MINUTES)) $(if $(FROM),--from $(FROM)) $(if $(QUIET),--quiet) $(if $(CANARY),--canary $(CANARY))

.PHONY: lint
lint: packages ## Format, lint, types, unused code, contract, and the house rules
	@oxfmt --check
	@oxlint
	@tsc --noEmit
	@knip --no-config-hints
	@buf lint --path proto/cloudless
	@node --test --test-reporter=dot 'tools/tidy/*.tidy.test.ts'

.PHONY: fmt
fmt: packages ## Format the code
	@oxfmt

.PHONY: proto
proto: packages ## Generate the code of the contract in proto/
	@buf generate

.PHONY: ci
ci: ## What runs for every change
	@.ci/run

.PHONY: clean
clean: down ## Stop the local cluster and remove everything that can be made again
	@rm -rf node_modules coverage .compile-cache

.PHONY: packages
packages:
	@tools/install/npm.sh
