# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The machine that programs are run in: the debug kernel, with a module whose every branch
# KCOV sees. FUZZ_MODULE may name another module.

module=${FUZZ_MODULE:-build/module/kcov/peershm.ko}

# points: how many instrumented points there are that a call can reach
points() {
	readelf -rW "$module" |
		awk '/^Relocation section/ { text = /\.rela\.text(\.unlikely)?\x27/ } text && /__sanitizer_cov_trace_pc/ { n++ } END { print n + 0 }'
}

# machine [OPTION OF tools/vm/run]... -- COMMAND...
machine() {
	tools/vm/run --vmlinuz "$(tools/vm/debug-kernel vmlinuz)" --module "$module" --memory 3G \
		--append "hugepagesz=2M hugepages=64 hugepagesz=1G hugepages=1 kmemleak=on" \
		--add build/fuzz/device:/fuzz/device --add tools/vm/forbidden:/fuzz/forbidden "$@"
}
