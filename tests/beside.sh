# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Machines beside each other: as many as there are CPUs and memory for, at most MACHINES of
# them, as most tests keep one of a machine's two CPUs busy. Each is started in the
# background once beside_wait has found room for it, in a process group of its own, which
# ends with the script.
#
#   beside_room GIB   see how many there is room for, if each takes so much memory
#   beside_wait       wait until one more can be started

beside_room() {
	local n
	n=$(awk -v cpus="$(nproc)" -v gib="$1" '/^MemAvailable:/ {
		n = int($2 / (gib * 1024 * 1024)); print n < 1 ? 1 : n < cpus ? n : cpus }' /proc/meminfo)
	[[ ! ${MACHINES-} || $MACHINES -ge $n ]] || n=$MACHINES
	beside_machines=$n
}

beside_wait() {
	while [[ $(jobs -rp | wc -l) -ge $beside_machines ]]; do
		wait -n
	done
}

set -m
trap 'jobs -rp | sed s/^/-/ | xargs -r kill --' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
