# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The machine that programs are run in: the debug kernel, with a module whose every branch
# KCOV sees. FUZZ_MODULE may name another module, and FUZZ_VMLINUZ the kernel that it is for.

module=${FUZZ_MODULE:-build/module/kcov/peershm.ko}

# points: where the instrumented points are that a call can reach: section and offset in it
points() {
	local section='' word rest
	readelf -rW "$module" | grep -E "^Relocation|__sanitizer_cov_trace_pc" | while read -r word rest; do
		case $word in
		Relocation) section=$(sed -n "s/.*'\.rela\(\.text\|\.text\.unlikely\)'.*/\1/p" <<< "$rest") ;;
		[0-9a-f]*) [[ ! $section || $rest != *__sanitizer_cov_trace_pc* ]] ||
			printf '%s %x\n' "$section" $((0x$word + 4)) ;;
		esac
	done
}

# machine [OPTION OF tools/vm/run]... -- COMMAND...
#
# The kernel's own watchdogs go by the clock. They are given more of it, as a busy host may
# give the machine little.
machine() {
	tools/vm/run --vmlinuz "${FUZZ_VMLINUZ:-$(tools/vm/kernels/debug-kernel vmlinuz)}" --module "$module" --memory 4G --words \
		--append "hugepagesz=2M hugepages=64 hugepagesz=1G hugepages=1" \
		--append "rcupdate.rcu_cpu_stall_timeout=300 sysctl.kernel.hung_task_timeout_secs=1200" \
		--add build/fuzz/device:/fuzz/device --add tools/vm/forbidden:/fuzz/forbidden "$@"
}
