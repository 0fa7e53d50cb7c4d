# SPDX-License-Identifier: GPL-2.0-only
#
# Programs that test: on the device (kselftest, stress), without it (unit), and at random (fuzz).

kselftest_rooms := abi map unreachable lifetime memory events users
kselftest_sources := $(wildcard $(kselftest_rooms:%=tests/kselftest/%/*.c))
kselftest := $(addprefix $(BUILD)/kselftest/,$(basename $(notdir $(kselftest_sources))))
support := $(call objects,tests/kselftest/support/*.c)
unit := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(filter-out %/check.c,$(wildcard tests/unit/*.c))) \
	$(BUILD)/unit/program
decoders := $(patsubst tests/fuzz/decoders/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/decoders/*.c))

$(BUILD)/obj/tests/%.o: | setup-test

# a device test is its source, what all share, and the library: tests/coverage/run counts in the static one
tested := $(BUILD)/libpeershm.so.0
$(foreach source,$(kselftest_sources),$(eval \
	$(BUILD)/kselftest/$(basename $(notdir $(source))): $(BUILD)/obj/$(source:.c=.o)))
# hanging_cases is for tests/meta
$(BUILD)/meta/hanging_cases: $(BUILD)/obj/tests/meta/hanging_cases.o
$(kselftest) $(BUILD)/meta/hanging_cases: $(support) $(tested)
	$(call say,LD,$@)
	$(call link,$(beside),-lcmocka -luring $(if $(filter %.a,$(tested)),$(urcu)))

$(BUILD)/holder/holder: $(BUILD)/obj/tests/kselftest/holder.o
	$(call say,LD,$@)
	$(call link)

$(BUILD)/stress/stress: $(BUILD)/obj/tests/stress/stress.o $(support) $(BUILD)/libpeershm.so.0
	$(call say,LD,$@)
	$(call link,$(beside),-lcmocka -luring)

$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/obj/tests/unit/check.o $(BUILD)/libpeershm.a
	$(call say,LD,$@)
	$(call link,$(wrap),-lcmocka $(urcu))

# makes the system calls of the library fail
$(BUILD)/unit/injection: private wrap := $(patsubst %,-Wl$(,)--wrap=%, \
	mmap madvise pthread_atfork pthread_key_create pthread_setspecific fdopen getline read stat \
	getrlimit open)

$(BUILD)/unit/race: private wrap := -Wl,--wrap=pthread_atfork

# in C++, built and linked as its author would, with the strictest compiler
$(BUILD)/unit/program: tests/unit/program.cc include/peershm.h include/uapi/linux/peershm.h \
		$(BUILD)/libpeershm.so.0 | setup-test
	$(call say,CXX,$@)
	$(Q)mkdir -p $(@D) && $(CXX) -std=c++17 -Wall -Wextra -pedantic $(WERROR) $(CFLAGS) \
		-Iinclude -Iinclude/uapi $(LDFLAGS) $(beside) -o $@ $(filter %.cc %.so.0,$^) -lcmocka

# sees which file the library reads
$(BUILD)/unit/standard_files: private wrap := -Wl,--wrap=read,--wrap=getline

# with what it tests, which is no part of the library
$(BUILD)/unit/demo_structures: $(call objects,$(patsubst %,tools/demo/%.c,key table))

$(BUILD)/fuzz/device: $(call objects,tests/fuzz/device/*.c)
	$(call say,LD,$@)
	$(call link)

# with what they test, which sees its own branches
$(BUILD)/fuzz/size: tools/peershmctl/size.c
$(BUILD)/fuzz/%: tests/fuzz/decoders/%.c $(wildcard libpeershm/*.[ch] include/*.h include/uapi/linux/*.h) | setup-fuzz
	$(call say,CLANG,$@)
	$(Q)mkdir -p $(@D)
	$(Q)clang $(cflags) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ \
		$(filter %.c,$^) $(urcu)

# The same programs with the sanitizers, in a build directory of their own.
sanitized := sanitized
sanitizers := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
.PHONY: sanitized kselftest unit-programs fuzz-programs
sanitized: | setup-test
	+$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/san CFLAGS='$(CFLAGS) $(sanitizers)' sanitized= unit-programs

##  kselftest    build the device tests (`make -C tests install` gathers them)
kselftest: $(kselftest) $(BUILD)/stress/stress $(BUILD)/holder/holder
	@:

unit-programs: $(unit) $(sanitized)
	@:

fuzz-programs: $(BUILD)/fuzz/device
	$(Q)tools/vm/kernels/module --tree $(CURDIR)/build/module/kcov $$(tools/vm/kernels/kernel kasan headers) \
		KCOV_INSTRUMENT=y KCFLAGS=-g modules > build/fuzz/module.log || { cat build/fuzz/module.log; exit 1; }

##  unit         build and run the tests that need no device, plain and sanitized
unit: unit-programs
	$(Q)tests/unit/run $(unit) $(if $(sanitized),$(unit:$(BUILD)/%=$(BUILD)/san/%))

# needs what nothing else does before it: Python
run = $(Q)tools/setup build && MAKE='$(MAKE)' tests/run

##  device       the device tests in the virtual machine (SCALE=0.1: fewer rounds)
device:
	$(run) $(KERNEL) --dose $(or $(SCALE),1) -- $(SELFTEST)

##  check-kernels  the same on every kernel of tools/vm/kernels/suites (KERNELS="6.12 ..." SCALE=)
check-kernels:
	$(run) $(or $(KERNELS),kernels) --dose $(or $(SCALE),0.05)

##  check-debug  the same on kernels with every checker on, built once (DEBUG="kasan kcsan")
check-debug:
	$(run) $(or $(DEBUG),kasan kcsan)

##  coverage     which lines of module and library the tests reach, and why not the others
coverage:
	$(Q)tools/setup debug coverage
	$(call ready,build vm test,all)
	$(Q)MAKE='$(MAKE)' tests/coverage/run

##  check-mutants  do the device tests catch the mistakes in tests/mutants? (MUTANTS="NAME ...")
check-mutants:
	$(run) mutants $(if $(MUTANTS),-- $(MUTANTS))

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

##  check        what .ci/run runs: build, lint, and the tests in a small dose; ends with the count
check:
	$(run) --tier submission

##  check-full   what .ci/nightly runs: all there is
check-full:
	$(run) --tier nightly

##  stress       random attach, grow, shrink, kill, stop, restart: ROUNDS=10000 SEED=
stress:
	$(run) stress -- $(or $(ROUNDS),10000) $(SEED)

##  check-model  read sections, in every state that the model in tests/model has
check-model:
	$(Q)tools/setup model
	$(Q)tests/model/check

##  lint         every static check there is
lint: setup-lint lib tools kselftest unit-programs
	$(Q)headers=$(or $(KDIR),$$(tools/vm/kernels/kernel $(own_kernel) headers)) && \
		tools/lint $$headers
