# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The machine that runs the fuzzer's programs: the debug kernel, and a module that reports each
# of its basic blocks to KCOV. FUZZ_MODULE may name another module, and FUZZ_VMLINUZ the kernel
# that it is for.

module=${FUZZ_MODULE:-build/module/kcov/peershm.ko}

# points: every place of the module that KCOV can report for a call of a program, as a section
# and an offset in it. Code that runs when the module is loaded or removed is in other sections.
#
# The compiler puts a call of __sanitizer_cov_trace_pc() into each basic block, and KCOV records
# the address that this call returns to. The module's relocations have the offset of the call's
# operand, which is the last 4 bytes of the instruction: the return address is 4 bytes further.
points() {
	local offset rest section=
	while read -r offset rest; do
		case "$offset $rest" in
		"Relocation section '.rela.text'"*) section=.text ;;
		"Relocation section '.rela.text.unlikely'"*) section=.text.unlikely ;;
		"Relocation section "*) section= ;;
		*__sanitizer_cov_trace_pc*) [[ ! $section ]] || printf '%s %x\n' "$section" $((0x$offset + 4)) ;;
		esac
	done < <(readelf -rW "$module")
}

# machine [OPTION OF tools/vm/run]... -- COMMAND...
#
# A busy host may give the machine little time, while the kernel's own watchdogs measure by the
# clock: their limits are raised, or they would report hangs that are none.
machine() {
	tools/vm/run --vmlinuz "${FUZZ_VMLINUZ:-$(tools/vm/kernels/debug-kernel vmlinuz)}" --module "$module" --memory 4G --words \
		--append "hugepagesz=2M hugepages=64 hugepagesz=1G hugepages=1" \
		--append "rcupdate.rcu_cpu_stall_timeout=300 sysctl.kernel.hung_task_timeout_secs=1200" \
		--add build/fuzz/device:/fuzz/device --add tools/vm/forbidden:/fuzz/forbidden "$@"
}
