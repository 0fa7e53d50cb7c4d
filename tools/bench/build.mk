# SPDX-License-Identifier: GPL-2.0-only
#
# The benchmark: each program is what it measures, and the rounds. At its fixed address, below
# 4 GiB, a program shares no page table with a region; at a random one, one program in six
# does, and growing takes 5,000 instructions less for each peer. DPDK's is left out where its
# libraries cannot be had.

rivals := $(addprefix $(BUILD)/bench/bin/,memfd_populate memfd_touch memset)
rounds := $(addprefix $(BUILD)/obj/tools/bench/subjects/,rounds.o crew.o)

$(BUILD)/bench/bin/peershm: $(BUILD)/libpeershm.so.0
$(BUILD)/bench/bin/peershm: rpath = -Wl,-rpath,'$$ORIGIN:$$ORIGIN/../..'
$(BUILD)/bench/bin/peershm: $(BUILD)/obj/tools/bench/subjects/peershm.o
$(rivals): $(BUILD)/bench/bin/%: $(BUILD)/obj/tools/bench/rivals/%.o
$(BUILD)/bench/bin/peershm $(rivals): $(rounds) tools/bench/build.mk
	$(call say,LD,$@)
	$(call link,$(rpath) -no-pie)

$(BUILD)/bench/bin/dpdk: tools/bench/rivals/dpdk.c $(rounds) $(BUILD)/flags | setup-build setup-bench
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)! flags="$$(tools/bench/rivals/libdpdk cflags)" || \
		$(CC) $(cflags) $$flags -o $@ $< $(rounds) $$(tools/bench/rivals/libdpdk libs)

# Read sections beside liburcu's, as programs use either: the library shared, its lock inlined.
$(BUILD)/bench/libsections.so: $(BUILD)/obj/tools/bench/subjects/fake_region.o $(library)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(cflags) $(LDFLAGS) -shared -o $@ $^ $(urcu)

$(BUILD)/bench/sections: $(addprefix $(BUILD)/obj/tools/bench/,subjects/sections.o rivals/liburcu.o) $(BUILD)/bench/libsections.so
	$(call say,LD,$@)
	$(call link,-Wl$(,)-rpath$(,)'$$ORIGIN',$(BUILD)/bench/libsections.so -lurcu-memb)

.PHONY: bench bench-full bench-instructions bench-publish bench-compare bench-native bench-programs bench-sections
bench-programs: $(BUILD)/bench/bin/peershm $(rivals) $(BUILD)/bench/bin/dpdk
	@:

##  bench        how fast it is, beside what else could be picked; build/bench/ has it all
bench: mode := default
##  bench-full   the same, with what takes long (half an hour)
bench-full: mode := full
##  bench-instructions  count instructions instead: a change of 1 % shows
bench-instructions: mode := instructions
bench bench-full bench-instructions:
	$(call ready,build vm bench,all bench-programs)
	$(Q)tools/bench/run $(mode)

##  bench-publish  what both have measured, into README.md, tools/bench/README.md and a plot
bench-publish:
	$(Q)tools/setup bench
	$(Q)tools/bench/report publish

##  bench-compare  instructions of this tree beside those of BASE=revision; LIMIT=1 percent more fails
bench-compare:
	$(call ready,build vm bench,all bench-programs)
	$(Q)MAKE='$(MAKE)' LIMIT='$(or $(LIMIT),1)' tools/bench/compare '$(or $(BASE),$(error which revision? make bench-compare BASE=...))'

##  bench-native  the benchmark on this machine, which has the module loaded; as root
bench-native:
	$(call ready,build bench,lib bench-programs)
	$(Q)tools/bench/run --native $(or $(MODE),default)

##  bench-sections  what a read section costs, beside liburcu's memb flavour
bench-sections: $(BUILD)/bench/sections
	$(Q)$(BUILD)/bench/sections
