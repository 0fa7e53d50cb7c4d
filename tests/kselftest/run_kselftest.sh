#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run the installed device tests, the kselftest way.

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/kselftest/ktap.sh
. "$here/ktap.sh"

usage() {
	cat <<EOF
usage: $0 [OPTION]...

Prints KTAP. Needs /dev/peershm: load the module first (insmod peershm.ko).

  -t, --test NAME    only this one (as -l prints it, or its last part); repeatable
  -c, --case NAME    only cases of this name, in which * and ? may stand for anything
  -e, --except NAME  all but this one
  -p, --part I/N     of all tests every Nth, from the Ith on
  -f, --first        end with the first that fails
  -l, --list         list the tests
  -s, --summary      one line a test; the details go to output.log in this directory
  -o, --override-timeout SECONDS   for each program (default $limit)
  -x, --stress ROUNDS  the stress, too, with a seed that is printed
  -u, --unload       remove the module at the end, and check that nothing is left
  -h, --help

Exit status: 0 all passed, 1 something failed, 2 wrong usage, 4 skipped: no module.
EOF
}

list=$here/kselftest-list.txt
limit=900 # a case has a deadline of its own (support/deadline.c)
tests=
unload=0
first=0
rounds=
except=
part=
while [ $# -gt 0 ]; do
	case $1 in
	-t | --test)
		case $2 in
		*:*) name=$2 ;;
		*) name=peershm:$2 ;;
		esac
		if ! grep -qx "$name" "$list"; then
			echo "$0: no test '$name'; -l lists them" >&2
			exit 2
		fi
		tests="$tests $name"
		shift 2 ;;
	-c | --case)
		export PEERSHM_TEST_FILTER="$2"
		shift 2 ;;
	-e | --except)
		except=$2
		shift 2 ;;
	-p | --part)
		part=$2
		if ! expr "$part" : '[1-9]/[1-9]$' >/dev/null || [ "${part%/*}" -gt "${part#*/}" ]; then
			usage >&2
			exit 2
		fi
		shift 2 ;;
	-f | --first)
		first=1
		shift ;;
	-l | --list)
		cat "$list"
		exit 0 ;;
	-s | --summary)
		exec 5>output.log
		shift ;;
	-o | --override-timeout)
		limit=$2
		shift 2 ;;
	-x | --stress)
		rounds=$2
		shift 2 ;;
	-u | --unload)
		unload=1
		shift ;;
	-h | --help)
		usage
		exit 0 ;;
	*)
		usage >&2
		exit 2 ;;
	esac
done
[ -n "$tests" ] || tests=$(grep -vx "peershm:$except" "$list")
if [ -n "$part" ]; then
	# shellcheck disable=SC2086 # one word a test
	tests=$(printf '%s\n' $tests | awk -v i="${part%/*}" -v n="${part#*/}" 'NR % n == i % n')
fi

# shellcheck disable=SC2086 # one word a test
set -- $tests
if [ $# -eq 0 ]; then
	echo "$0: no tests${part:+ in part $part} ($list)" >&2
	exit 2
fi

if [ ! -c /dev/peershm ]; then
	echo "KTAP version 1"
	echo "1..0 # SKIP no /dev/peershm: load the module (insmod peershm.ko), see $here/README"
	exit 4
fi

# The kernel log since log_mark must hold nothing that `forbidden` names. A mark that
# was pushed out of the buffer makes all that is in it count.
log_readable=0
dmesg >/dev/null 2>&1 && [ -w /dev/kmsg ] && log_readable=1
mark=
log_mark() {
	[ "$log_readable" = 1 ] || return 0
	mark="peershm selftest $$: $1"
	echo "$mark" >/dev/kmsg
}

log_check() {
	[ "$log_readable" = 1 ] || return 0
	log=$(mktemp)
	patterns=$(mktemp)
	dmesg >"$log"
	grep -v '^#' "$here/forbidden" >"$patterns"
	dirty=0
	if [ ! -s "$log" ] || [ ! -s "$patterns" ]; then
		echo "the kernel log cannot be looked at"
		dirty=1
	elif grep -qF "$mark" "$log"; then
		sed -i "1,/$mark/d" "$log"
	fi
	if grep -E -q -f "$patterns" "$log"; then
		dirty=1
		grep -E -B 2 -A 25 -f "$patterns" "$log" | head -n 60 | sed 's/^/  # /' >&5
	fi
	rm -f "$log" "$patterns"
	return $dirty
}

leaks=/sys/kernel/debug/kmemleak
leaks_readable=0
# turned off at boot, the file is there all the same
[ "$unload" = 1 ] && [ -w $leaks ] && ! grep -qw kmemleak=off /proc/cmdline && leaks_readable=1
programs=$#
[ -z "$rounds" ] || programs=$((programs + 1))
ktap_start $((programs * (1 + log_readable) + unload * 5 + leaks_readable))
[ "$log_readable" = 1 ] || echo "# the kernel log is not readable, so it is no part of the verdict"

# what some tests switch on in the scheduler stays on
"$here/holder" $$

pages_free() {
	cat /sys/kernel/mm/hugepages/*/free_hugepages 2>/dev/null | xargs
}
pages_before=$(pages_free)

# run NAME PROGRAM [ARG]...
run() {
	name=$1
	shift
	log_mark "$name"
	ktap_program "selftests: $name" "$limit" "$@"
	[ "$log_readable" = 0 ] || ktap_step "selftests: $name: the kernel log is clean" log_check
}

for test in "$@"; do
	run "$test" "$here/${test%%:*}/${test#*:}"
	if [ "$first" = 1 ] && [ "$ktap_fail" -gt 0 ]; then
		ktap_totals
		exit 1
	fi
done
[ -z "$rounds" ] || run stress "$here/stress" "$rounds"

module_is_removed() {
	rmmod peershm
}

no_trace_is_left() {
	if [ -e /sys/module/peershm ] || [ -e /dev/peershm ]; then
		ls -d /sys/module/peershm /dev/peershm
		return 1
	fi
}

no_slab_is_left() {
	! grep peershm /proc/slabinfo
}

huge_pages_are_back() {
	echo "free huge pages before: $pages_before, now: $(pages_free)"
	[ "$(pages_free)" = "$pages_before" ]
}

# two scans: what is found once may be on its way to being freed
nothing_leaked() {
	echo scan >$leaks && echo scan >$leaks || return
	found=$(cat $leaks)
	echo "$found"
	[ -z "$found" ]
}

if [ "$unload" = 1 ]; then
	log_mark unload
	ktap_step "unload: rmmod succeeds" module_is_removed
	ktap_step "unload: module and device are gone" no_trace_is_left
	ktap_step "unload: no slab is left" no_slab_is_left
	ktap_step "unload: huge pages are back in the pool" huge_pages_are_back
	[ "$leaks_readable" = 0 ] || ktap_step "unload: nothing leaked" nothing_leaked
	ktap_step "unload: the kernel log is clean" log_check
fi
ktap_totals
