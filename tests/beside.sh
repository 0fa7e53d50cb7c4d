# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Machines beside each other: as many as there are CPUs and memory for, at most MACHINES of
# them, as most tests keep one of a machine's two CPUs busy. Scripts that run at once in one
# tree share that room: who has a place in it holds the lock of a file in build/beside, and
# who has waited for longest gets the next.
#
#   beside_room         see how many there is room for
#   beside COMMAND...   wait for a place, and start it in the background, in a process group
#                       of its own, which ends with the script; its PID is beside_pid

beside_gib=9	# for the largest of them: all scripts count alike, as they share the places

beside_room() {
	local n
	n=$(awk -v cpus="$(nproc)" -v gib="$beside_gib" '/^MemTotal:/ {
		n = int($2 / (gib * 1024 * 1024)); print n < 1 ? 1 : n < cpus ? n : cpus }' /proc/meminfo)
	[[ ! ${MACHINES-} || $MACHINES -ge $n ]] || n=$MACHINES
	beside_machines=$n
	beside_places=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../build/beside
	mkdir -p "$beside_places"
}

beside() {
	local place=0 queue lock
	exec {queue}> "$beside_places/queue"
	# a trap is not run before what is in the foreground ends
	flock "$queue" & wait "$!"
	while :; do
		place=$((place % beside_machines + 1))
		exec {lock}> "$beside_places/$place"
		! flock -n "$lock" || break
		exec {lock}>&-
		[[ $place -lt $beside_machines ]] || { sleep 1 & wait "$!"; }
	done
	exec {queue}>&-
	# all that comes of it has the lock, too
	set -m
	"$@" &
	# shellcheck disable=SC2034 # for whoever sources this
	beside_pid=$!
	set +m
	exec {lock}>&-
	# whoever waits in the queue comes before what this script starts next
	sleep 1 & wait "$!"
}

trap 'jobs -rp | sed "p; s/^/-/" | xargs -r kill -- 2> /dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
