# Gatehouse: two commands are enough to begin with, `make run` and `make test`.

SHELL    := /bin/sh
GO       ?= go
PREFIX   ?= /usr/local
DESTDIR  ?=
BUILD    := build
BIN      := $(BUILD)/gatehouse
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unreleased)
LDFLAGS  := -s -w -X main.version=$(VERSION)
UNITDIR  ?= /etc/systemd/system
MANDIR   ?= $(PREFIX)/share/man/man8
CONFDIR  ?= /etc/gatehouse

export CGO_ENABLED = 0

.PHONY: help build run demo test check bench conformance conformance-rules soak fuzz capture install uninstall peers clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 28

build: ## the one static binary, build/gatehouse
	@mkdir -p $(BUILD)
	@$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/gatehouse

run: build ## guard this machine in the foreground (asks sudo for the finished binary)
	@scripts/run $(BIN)

demo: build ## a sealed show: attackers, a friend, bans landing, why
	@$(BIN) demo

test: peers check ## everything: format, vet, staticcheck, walls, race tests, end to end
	@scripts/test

check: ## format, vet, staticcheck
	@out=$$(gofmt -l cmd internal packaging); if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	@$(GO) vet ./...
	@$(GO) tool staticcheck ./...

peers: ## the real programs that the tests talk to (OpenSSH, nft, ...)
	@scripts/peers

bench: build peers ## each budget beside this run's figure
	@scripts/bench

conformance: ## fail2ban's sample logs through our reading of its filters: FAIL2BAN=DIR
	@$(GO) run ./internal/conformance $(or $(FAIL2BAN),build/fail2ban)

conformance-rules: ## our built-in rules on fail2ban's sample logs, what they miss and make up: FAIL2BAN=DIR
	@$(GO) run ./internal/conformance -rules $(or $(FAIL2BAN),build/fail2ban)

soak: build peers ## what takes long: crashes under load, rotation storms
	@scripts/soak

fuzz: ## each fuzz target for FUZZTIME (10s)
	@scripts/fuzz $(or $(FUZZTIME),10s)

capture: ## real services attacked in throwaway roots; their log lines become samples (SERVICE="dropbear nginx"; root)
	@scripts/capture $(SERVICE)

install: build ## binary, systemd unit, man page, commented configuration
	@scripts/install "$(DESTDIR)" "$(PREFIX)" "$(UNITDIR)" "$(MANDIR)" "$(CONFDIR)" $(BIN)

uninstall: ## all of it gone, the kernel table included
	@scripts/uninstall "$(DESTDIR)" "$(PREFIX)" "$(UNITDIR)" "$(MANDIR)" "$(CONFDIR)"

clean: ## the build folder
	@rm -rf $(BUILD)
