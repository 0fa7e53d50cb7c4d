# SPDX-License-Identifier: GPL-2.0-only
#
# Everything that is built goes under build/. `make help` lists the targets.

VERSION := 0.1.0

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
# what the device tests and the demo need of the machine: huge pages, and two NUMA nodes, of
# whose pages none moves by itself; they clear GiBs of memory
machine := --memory 6G --nodes 2 --words --append "hugepagesz=2M hugepages=200 hugepagesz=1G hugepages=2 \
	   numa_balancing=disable"
VM ?= --kernel $(KERNEL) $(machine)

# options for the run of the device tests (-l lists them, -t NAME runs one)
SELFTEST ?= -u

cflags = -std=gnu11 -D_GNU_SOURCE= -Wall -Wextra $(WERROR) $(CFLAGS) -fvisibility=hidden -pthread \
	 -Iinclude -Iinclude/uapi -Ilibpeershm -Itests/kselftest -DPEERSHM_VERSION='"$(VERSION)"'
sanitize := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
urcu := -lurcu-bp -lurcu-common

, := ,
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(Q),@printf '  %-7s %s\n' '$(1)' '$(2)')

# everything that has to be installed is, before anything is built, on every CPU unless told
ready = +$(Q)tools/setup $(1) && $(MAKE) --no-print-directory \
	$(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc)) $(2)

objects = $(patsubst %.c,build/$(2)/%.o,$(wildcard $(1)))
library := $(call objects,libpeershm/*.c,obj)
library_san := $(call objects,libpeershm/*.c,obj-san)
peershmctl := $(call objects,tools/peershmctl/*.c,obj)
demo := $(call objects,tools/demo/*.c,obj)
common := $(call objects,tests/kselftest/support/*.c,obj)
unit := $(patsubst tests/unit/%.c,build/unit/%,$(wildcard tests/unit/*.c))
unit_san := $(unit:build/unit/%=build/unit-san/%)
bench := $(addprefix build/bench/bin/,memfd_populate memfd_touch memset peershm dpdk)
kselftest_rooms := abi map unreachable lifetime memory events users
kselftest_sources := $(wildcard $(kselftest_rooms:%=tests/kselftest/%/*.c))
kselftest := $(addprefix build/kselftest/,$(basename $(notdir $(kselftest_sources))))
decoders := $(patsubst tests/fuzz/decoders/%.c,build/fuzz/%,$(wildcard tests/fuzz/decoders/*.c))
programs := $(if $(peershmctl),build/peershmctl) $(if $(demo),build/peershm-demo)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: stress check-model bench-sections all module modules_install lib tools kselftest unit-programs unit \
	device device-programs device-run check check-full check-kernels check-debug coverage check-mutants lint \
	fuzz fuzz-minimise fuzz-programs fuzz-decoders demo shell install clean help setup-debug setup-fuzz setup-build setup-vm setup-test setup-lint FORCE

##  all          library, tools, and the module for the machine's kernel (default)
all: lib tools $(if $(KDIR)$(shell command -v apt-get),module)

##  module       the module, for Debian's kernel or with KDIR=/lib/modules/.../build
module: setup-build
	$(Q)headers=$(or $(KDIR),$$(tools/vm/kernels/kernel $(KERNEL) headers)) && \
		tools/vm/kernels/module $$headers

##  lib          build/libpeershm.so.0 and build/libpeershm.a
lib: build/libpeershm.so build/libpeershm.a
	@:

##  tools        build/peershmctl and build/peershm-demo
tools: $(programs)
	@:

##  unit         build and run the tests that need no device, plain and sanitized
unit: unit-programs
	$(Q)tests/run_programs $(unit) $(unit_san)

unit-programs: $(unit) $(unit_san)
	@:

##  kselftest    build the device tests (`make -C tests install` gathers them)
kselftest: $(kselftest) build/stress/stress build/holder/holder
	@:

##  device       run the device tests in the virtual machine (SCALE=0.1: fewer rounds)
device:
	$(call ready,build vm test,all device-programs)
	$(Q)$(MAKE) --no-print-directory device-run

# what goes into the machine, for every kernel of that architecture
device-programs: kselftest
	$(Q)arch=$$(tools/vm/kernels/kernel $(KERNEL) arch) && case $$arch in \
		amd64) $(MAKE) --no-print-directory -C tests install ;; \
		*) tools/vm/kernels/userspace $$arch ;; \
	esac

# with what is there, and the module for that kernel
device-run: module
	$(Q)tools/vm/run $(VM) --timeout 3000 $(if $(VM_LOG),--log $(VM_LOG)) -- \
		env PEERSHM_TEST_SCALE=$(or $(SCALE),1) /kselftest/run_kselftest.sh $(SELFTEST)

##  check-kernels  the device tests on every kernel of tools/vm/kernels/suites (KERNELS="5.10 ..." SCALE=)
check-kernels:
	$(call ready,build vm test,lib tools kselftest)
	$(Q)MAKE='$(MAKE)' SCALE='$(SCALE)' tests/check-kernels $(KERNELS)

##  check-debug  the device tests on kernels with every checker on, built once
check-debug:
	$(Q)tools/setup debug
	$(call ready,build vm test,all kselftest)
	$(Q)$(MAKE) --no-print-directory -C tests install
	$(Q)tests/check-debug $(DEBUG)

##  coverage     which lines of module and library the tests reach, and why not the others
coverage:
	$(Q)tools/setup debug coverage
	$(call ready,build vm test,all)
	$(Q)MAKE='$(MAKE)' tests/coverage/run

##  check-mutants  do the device tests catch the mistakes in tests/mutants?
check-mutants:
	$(Q)tools/setup debug
	$(call ready,build vm test,all kselftest)
	$(Q)$(MAKE) --no-print-directory -C tests install
	$(Q)tests/check-mutants $(MUTANTS)

##  fuzz         fuzz the device on the debug kernel (OPS=, SEED=, SAVE=1 keeps the corpus)
fuzz: setup-debug
	$(call ready,build vm,fuzz-programs)
	$(Q)tests/fuzz/device/fuzz $(or $(OPS),200000) $(if $(SEED),--seed $(SEED))

##  fuzz-minimise  what a finding of it needs, and a C program: PROGRAM=build/fuzz/finding
fuzz-minimise: setup-debug
	$(call ready,build vm,fuzz-programs)
	$(Q)tests/fuzz/device/minimise $(PROGRAM)

##  fuzz-decoders  libFuzzer on what user space decodes (SECONDS=, for each)
fuzz-decoders: setup-build setup-fuzz $(decoders)
	$(Q)tests/fuzz/decoders/run $(or $(SECONDS),20) $(decoders)

fuzz-programs: build/fuzz/device
	$(Q)tools/vm/kernels/module --tree $(CURDIR)/build/module/kcov $$(tools/vm/kernels/debug-kernel headers) \
		KCOV_INSTRUMENT=y KCFLAGS=-g modules > build/fuzz/module.log || { cat build/fuzz/module.log; exit 1; }

##  check        set up, build and test everything; ends with the count
check:
	$(Q)tools/setup build vm test lint bench
	$(Q)MAKE='$(MAKE)' tests/check

##  stress       random attach, grow, shrink, kill, stop, restart: ROUNDS=10000 SEED=
stress:
	$(call ready,build vm test,all kselftest)
	$(Q)$(MAKE) --no-print-directory -C tests install
	$(Q)tools/vm/run $(VM) --timeout $(or $(TIMEOUT),3600) $(if $(VM_LOG),--log $(VM_LOG)) -- \
		/kselftest/stress $(or $(ROUNDS),10000) $(SEED)

##  check-model  read sections, in every state that the model in tests/model has
check-model:
	$(Q)tools/setup model
	$(Q)tests/model/check

##  bench-sections  what a read section costs, beside liburcu's memb flavour
bench-sections: build/bench/sections
	$(Q)build/bench/sections

##  check-full   and the other kernels, the debug kernels, stress, fuzzer, two mutants
check-full:
	$(Q)tools/setup build vm test lint bench debug arm64
	$(Q)MAKE='$(MAKE)' tests/check --full

##  lint         every static check there is
lint: setup-lint lib tools kselftest unit-programs
	$(Q)headers=$(or $(KDIR),$$(tools/vm/kernels/kernel $(own_kernel) headers)) && \
		tools/lint $$headers

##  demo         build everything, boot the virtual machine, show the demo
demo:
	$(call ready,build vm,all)
	$(Q)tools/vm/run $(VM) -- peershm-demo

##  shell        a shell in the virtual machine with the module loaded (ADD=FILE:/root/FILE)
shell:
	$(call ready,build vm,all)
	$(Q)tools/vm/run $(VM) $(addprefix --add ,$(ADD)) --interactive

.PHONY: bench bench-full bench-instructions bench-publish bench-compare bench-native bench-programs setup-bench
##  bench        how fast it is, beside what else could be picked; build/bench/ has it all
bench: mode := default
##  bench-full   the same, with what takes long (half an hour)
bench-full: mode := full
##  bench-instructions  count instructions instead: a change of 1 % shows
bench-instructions: mode := instructions
bench bench-full bench-instructions:
	$(call ready,build vm bench,all bench-programs)
	$(Q)tools/bench/run $(mode)

##  bench-publish  what both have measured, into README.md and tools/bench/published/
bench-publish:
	$(Q)tools/setup bench
	$(Q)tools/bench/publish

##  bench-compare  instructions of this tree beside those of BASE=revision
bench-compare:
	$(call ready,build vm bench,all bench-programs)
	$(Q)MAKE='$(MAKE)' tools/bench/compare '$(or $(BASE),$(error which revision? make bench-compare BASE=...))'

##  bench-native  the benchmark on this machine, which has the module loaded; as root
bench-native:
	$(call ready,build bench,lib bench-programs)
	$(Q)tools/bench/run --native $(or $(MODE),default)

bench-programs: $(bench)
	@:

# Objects. A change of the flags rebuilds them; headers are tracked by -MMD.
build/flags: FORCE
	$(Q)mkdir -p build
	$(Q)echo '$(CC) $(cflags) $(CPPFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(cflags) $(CPPFLAGS) $(LDFLAGS)' > $@

build/obj/%.o: %.c build/flags | setup-build
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(cflags) $(CPPFLAGS) -fPIC -MMD -MP -c -o $@ $<

build/obj-san/%.o: %.c build/flags | setup-build
	$(call say,CC SAN,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(cflags) $(CPPFLAGS) $(sanitize) -fPIC -MMD -MP -c -o $@ $<

build/obj/tests/%.o build/obj-san/tests/%.o: | setup-test

# Library.
build/libpeershm.so.0: $(library) libpeershm/libpeershm.map
	$(call say,LD,$@)
	$(Q)$(CC) $(cflags) $(LDFLAGS) -shared -Wl,-soname,$(@F) -Wl,-z,defs -Wl,-z,nodelete \
		-Wl,--version-script,libpeershm/libpeershm.map -o $@ $(library) $(urcu)

build/libpeershm.so: build/libpeershm.so.0
	$(Q)ln -sf $(<F) $@

build/libpeershm.a: $(library)
build/libpeershm-san.a: $(library_san)
build/libpeershm.a build/libpeershm-san.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Programs. In the build tree they find the library beside them; what is installed
# is linked again, without that path.
link = $(Q)mkdir -p $(@D) && $(CC) $(cflags) $(LDFLAGS) $(1) -o $@ $(filter %.o,$^) $(filter %.a %.so.0,$^) $(2)
beside := -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..'

build/peershmctl build/peershm-demo: rpath = $(beside)
build/peershmctl build/install/peershmctl: $(peershmctl) build/libpeershm.so.0
	$(call say,LD,$@)
	$(call link,$(rpath),-ljson-c)

build/peershm-demo: $(demo) build/libpeershm.so.0
	$(call say,LD,$@)
	$(call link,$(rpath))

# the library that the device tests use; tests/coverage/run counts in the other
tested := build/libpeershm.so.0
$(foreach source,$(kselftest_sources),$(eval build/kselftest/$(basename $(notdir $(source))): build/obj/$(source:.c=.o)))
$(kselftest): $(common) $(tested)
	$(call say,LD,$@)
	$(call link,$(beside),-lcmocka -luring $(if $(filter %.a,$(tested)),$(urcu)))

build/fuzz/device: $(call objects,tests/fuzz/device/*.c,obj)
	$(call say,LD,$@)
	$(call link)

# with what they test, which sees its own branches
build/fuzz/size: tools/peershmctl/size.c
build/fuzz/%: tests/fuzz/decoders/%.c $(wildcard libpeershm/*.[ch] include/*.h include/uapi/linux/*.h) | setup-fuzz
	$(call say,CLANG,$@)
	$(Q)mkdir -p $(@D)
	$(Q)clang $(cflags) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ \
		$(filter %.c,$^) $(urcu)

build/unit/%: build/obj/tests/unit/%.o build/libpeershm.a
	$(call say,LD,$@)
	$(call link,$(wrap),-lcmocka $(urcu))

# makes the system calls of the library fail
build/unit/injection build/unit-san/injection: private wrap := $(patsubst %,-Wl$(,)--wrap=%, \
	mmap madvise pthread_atfork pthread_key_create pthread_setspecific fopen getline read stat \
	getrlimit open)

# The benchmark: each program is what it measures, and the rounds. At its fixed address, below
# 4 GiB, it shares no page table with a region; at a random one, one program in six does, and
# growing takes 5,000 instructions less for each peer. DPDK's is left out where its libraries
# cannot be had.
rounds := $(addprefix build/obj/tools/bench/subjects/,rounds.o crew.o)
build/bench/bin/memfd_touch build/bench/bin/memfd_populate: build/obj/tools/bench/rivals/memfd.o
build/bench/bin/peershm: build/libpeershm.so.0
build/bench/bin/peershm: rpath = -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../..'
rivals := $(addprefix build/bench/bin/,memfd_populate memfd_touch memset)
build/bench/bin/peershm: build/obj/tools/bench/subjects/peershm.o
$(rivals): build/bench/bin/%: build/obj/tools/bench/rivals/%.o
build/bench/bin/peershm $(rivals): $(rounds) Makefile
	$(call say,LD,$@)
	$(call link,$(rpath) -no-pie)

build/bench/bin/dpdk: tools/bench/rivals/dpdk.c $(rounds) build/flags | setup-build setup-bench
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)! flags="$$(tools/bench/rivals/libdpdk cflags)" || \
		$(CC) $(cflags) $$flags -o $@ $< $(rounds) $$(tools/bench/rivals/libdpdk libs)

# with what it tests, which is no part of the library
structures := arena.c hash.c symbols.c table.c tree.c
build/unit/demo_structures: $(call objects,$(addprefix tools/demo/,$(structures)),obj)
build/unit-san/demo_structures: $(call objects,$(addprefix tools/demo/,$(structures)),obj-san)

build/unit-san/%: build/obj-san/tests/unit/%.o build/libpeershm-san.a
	$(call say,LD,$@)
	$(call link,$(sanitize) $(wrap),-lcmocka $(urcu))

build/stress/stress: build/obj/tests/stress/stress.o build/libpeershm.so.0
	$(call say,LD,$@)
	$(call link,$(beside))

build/holder/holder: build/obj/tests/kselftest/holder.o
	$(call say,LD,$@)
	$(call link)

# Beside liburcu as programs use either: the library shared, its lock inlined.
build/bench/libsections.so: build/obj/tools/bench/subjects/fake_region.o $(library)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(cflags) $(LDFLAGS) -shared -o $@ $^ $(urcu)

build/bench/sections: build/obj/tools/bench/subjects/sections.o build/obj/tools/bench/rivals/liburcu.o build/bench/libsections.so
	$(call say,LD,$@)
	$(call link,-Wl$(,)-rpath$(,)'$$ORIGIN',build/bench/libsections.so -lurcu-memb)

##  install      library, headers and peershmctl below DESTDIR and PREFIX (/usr/local)
install: lib build/install/peershmctl
	$(call say,INSTALL,$(DESTDIR)$(PREFIX))
	$(Q)install -d $(addprefix $(DESTDIR),$(BINDIR) $(LIBDIR)/pkgconfig $(INCLUDEDIR)/linux)
	$(Q)install -m 755 build/install/peershmctl $(DESTDIR)$(BINDIR)/
	$(Q)install -m 755 build/libpeershm.so.0 $(DESTDIR)$(LIBDIR)/
	$(Q)ln -sf libpeershm.so.0 $(DESTDIR)$(LIBDIR)/libpeershm.so
	$(Q)install -m 644 build/libpeershm.a $(DESTDIR)$(LIBDIR)/
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
	@sed -n 's/^##  /  /p' $(firstword $(MAKEFILE_LIST))
	@echo 'Variables: CC CFLAGS LDFLAGS DESTDIR PREFIX LIBDIR KDIR KERNEL V=1'

setup-build setup-vm setup-test setup-lint setup-debug setup-fuzz setup-bench: setup-%:
	$(Q)tools/setup $*

-include $(shell find build/obj build/obj-san -name '*.d' 2>/dev/null)
