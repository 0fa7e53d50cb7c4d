# SPDX-License-Identifier: GPL-2.0-only
#
# Everything that is built goes under build/. `make help` lists the targets.


VERSION := $(shell sed -n 's/^\#define PEERSHM_VERSION_STRING "\(.*\)"/\1/p' include/uapi/linux/peershm.h)

# where things are built; a build with other flags gets a directory of its own
BUILD ?= build
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man

CFLAGS ?= -O2 -g
WERROR ?= -Werror
# the kernel the virtual machine boots, a line of tools/vm/kernels/suites
KERNEL ?= $(own_kernel)
# the one that the machine's own compiler and checkers are for
own_kernel := 6.1
VM ?= --kernel $(KERNEL) --suite

# options for the run of the device tests (-l lists them, -t NAME runs one)
SELFTEST ?= -u

cflags = -std=gnu11 -D_GNU_SOURCE= -Wall -Wextra $(WERROR) $(CFLAGS) -fvisibility=hidden -pthread \
	 -Iinclude -Iinclude/uapi -Ilibpeershm -Itests/kselftest
urcu := -lurcu-bp -lurcu-common

, := ,
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(Q),@printf '  %-7s %s\n' '$(1)' '$(2)')

# everything that has to be installed is, before anything is built, on every CPU unless told
ready = +$(Q)tools/setup $(1) && $(MAKE) --no-print-directory \
	$(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc)) $(2)

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard $(1)))
link = $(Q)mkdir -p $(@D) && $(CC) $(cflags) $(LDFLAGS) $(1) -o $@ $(filter %.o,$^) $(filter %.a %.so.0,$^) $(2)
# a program of the build tree finds the library beside it
beside := -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..'

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all module modules_install lib tools unit device check check-full check-kernels \
	check-debug check-mutants check-model coverage stress lint fuzz fuzz-minimise fuzz-decoders demo shell \
	install clean help FORCE

##  all          library, tools, and the module for the machine's kernel (default)
all: lib tools $(if $(KDIR)$(shell command -v apt-get),module)

include libpeershm/build.mk tools/build.mk tools/bench/build.mk tests/build.mk

##  module       the module, for Debian's kernel or with KDIR=/lib/modules/.../build
module: setup-build
	$(Q)headers=$(or $(KDIR),$$(tools/vm/kernels/kernel $(KERNEL) headers)) && \
		tools/vm/kernels/module $$headers

##  demo         build everything, boot the virtual machine, show the demo
demo:
	$(call ready,build vm,all)
	$(Q)tools/vm/run $(VM) -- peershm-demo

##  shell        a shell in the virtual machine with the module loaded (ADD=FILE:/root/FILE)
shell:
	$(call ready,build vm,all)
	$(Q)tools/vm/run $(VM) $(addprefix --add ,$(ADD)) --interactive

# Objects. A change of the flags rebuilds them; headers are tracked by -MMD.
$(BUILD)/flags: FORCE
	$(Q)mkdir -p $(BUILD)
	$(Q)echo '$(CC) $(cflags) $(CPPFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(cflags) $(CPPFLAGS) $(LDFLAGS)' > $@

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | setup-build
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(cflags) $(CPPFLAGS) -fPIC -MMD -MP -c -o $@ $<

##  install      library, headers and peershmctl below DESTDIR and PREFIX (/usr/local)
install: lib $(BUILD)/install/peershmctl
	$(call say,INSTALL,$(DESTDIR)$(PREFIX))
	$(Q)install -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(INCLUDEDIR)/linux)
	$(Q)install -m 755 $(BUILD)/install/peershmctl $(DESTDIR)$(BINDIR)/
	$(Q)install -m 755 $(BUILD)/libpeershm.so.0 $(DESTDIR)$(LIBDIR)/
	$(Q)ln -sf libpeershm.so.0 $(DESTDIR)$(LIBDIR)/libpeershm.so
	$(Q)install -m 644 $(BUILD)/libpeershm.a $(DESTDIR)$(LIBDIR)/
	$(Q)install -m 644 include/peershm.h $(DESTDIR)$(INCLUDEDIR)/
	$(Q)install -m 644 include/uapi/linux/peershm.h $(DESTDIR)$(INCLUDEDIR)/linux/
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' libpeershm/libpeershm.pc.in \
		> $(DESTDIR)$(LIBDIR)/pkgconfig/libpeershm.pc
	$(Q)for page in $(wildcard libpeershm/man/*.[1-8] tools/peershmctl/*.[1-8]); do \
		install -D -m 644 -t $(DESTDIR)$(MANDIR)/man$${page##*.} $$page || exit; \
	done

##  modules_install  the module, into /lib/modules of the kernel of KDIR
modules_install: KDIR ?= /lib/modules/$(shell uname -r)/build
modules_install: module
	$(Q)tools/vm/kernels/module $(KDIR) modules_install INSTALL_MOD_PATH=$(DESTDIR)

##  clean        remove build/; fetched kernels stay in the cache
clean:
	$(Q)rm -rf build

##  help         this list
help:
	@echo 'Targets:'
	@sed -n 's/^##  /  /p' Makefile libpeershm/build.mk tools/build.mk tests/build.mk tools/bench/build.mk
	@echo 'Variables: CC CFLAGS LDFLAGS DESTDIR PREFIX LIBDIR KDIR KERNEL V=1'

setup-build setup-vm setup-test setup-lint setup-debug setup-fuzz setup-bench: setup-%:
	$(Q)tools/setup $*

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
