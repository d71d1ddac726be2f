# Node 26 comes from the lockfile: npm installs the binary of this platform, whatever Node the system has.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install build demo test check unit fuzz bench proto fmt clean

help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 16

install: node_modules/.package-lock.json ## install the pinned dependencies

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

build: install ## check the types, and bundle src/ and its dependencies into dist/
	tsc -p tsconfig.json
	node deploy/bundle.ts

demo: build ## two applications, two sidecars, one controller: mutual TLS and policy at work (ONCE=1 runs and exits)
	node dist/cmd/main.js demo $(if $(ONCE),--once)

check: install ## format, lint, types, dead code, layers and unit tests
	oxfmt --check src test bench deploy
	oxlint --type-aware src test bench deploy
	tsc -p tsconfig.json
	knip
	$(MAKE) unit

unit: install
	node --test --test-reporter=dot 'test/{repository,bytes,config,crypto,native,pki,identity,tls,mesh,authz,diagnose,capture,telemetry,ca,control,net,proxy,cmd}/**/*.test.ts'

test: build ## every test that can run here; what is skipped says why
	node --test --test-concurrency=2 'test/**/*.test.ts'

fuzz: install ## feed mutated input to every decoder and to both state machines (TIME=60s SEED=N JOBS=N ONLY=name REPLAY=FILE)
	node --disable-warning=ExperimentalWarning test/fuzz/run.ts $(if $(TIME),--time $(TIME)) $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(addprefix --only ,$(ONLY)) $(if $(REPLAY),--replay $(REPLAY))

bench: build ## Handfast beside nginx, haproxy, stunnel and node:tls, as ratios, then the micro benches (JSON=FILE, SVG=FILE)
	node --disable-warning=ExperimentalWarning bench/run.bench.ts $(if $(JSON),--json $(JSON)) $(if $(SVG),--svg $(SVG))

proto: install ## regenerate src/control/gen from src/control/*.proto (needs protoc)
	protoc --plugin=node_modules/.bin/protoc-gen-es --es_out=src/control/gen --es_opt=target=ts,import_extension=ts,erasable_syntax=true -I src/control src/control/*.proto

fmt: install ## format the code
	oxfmt src test bench deploy

clean: ## remove what was built
	rm -rf dist coverage .handfast
