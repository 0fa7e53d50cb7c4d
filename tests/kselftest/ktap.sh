# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Functions that print KTAP and count. Plain sh: busybox runs it as well.
#
#   ktap_start COUNT                        the version and the plan
#   ktap_result pass|fail|skip NAME [WHY]   one test
#   ktap_step NAME COMMAND...               one test: does the command succeed?
#   ktap_program NAME SECONDS COMMAND...    a cmocka program: every case of it counts
#   ktap_totals                             the totals; false if anything failed
#
# Details (the cases of a program) go to file descriptor 5.

ktap_number=0
ktap_pass=0
ktap_fail=0
ktap_skip=0
exec 5>&1

ktap_start() {
	echo "KTAP version 1"
	echo "1..$1"
}

# the line of a test, without counting it
ktap_line() {
	ktap_number=$((ktap_number + 1))
	case $1 in
	pass) echo "ok $ktap_number $2" ;;
	skip) echo "ok $ktap_number $2 # SKIP $3" ;;
	*) echo "not ok $ktap_number $2${3:+ # $3}" ;;
	esac
}

ktap_result() {
	ktap_line "$@"
	case $1 in
	pass) ktap_pass=$((ktap_pass + 1)) ;;
	skip) ktap_skip=$((ktap_skip + 1)) ;;
	*) ktap_fail=$((ktap_fail + 1)) ;;
	esac
}

ktap_step() {
	ktap_name=$1
	shift
	ktap_output=$(mktemp)
	if "$@" >"$ktap_output" 2>&1; then
		ktap_result pass "$ktap_name"
	else
		ktap_result fail "$ktap_name"
	fi
	sed 's/^/# /' "$ktap_output" >&5
	rm -f "$ktap_output"
}

# seconds since some time
ktap_clock() {
	read -r ktap_now _ </proc/uptime
	echo "${ktap_now%.*}"
}

# Reads what a cmocka program prints, then the line "@status N"; prints the cases on
# descriptor 5, and leaves "VERDICT PASS FAIL SKIP WHY" in the file $1.
ktap_cases() {
	planned=
	pass=0
	fail=0
	skip=0
	status=
	ktap_since=$(ktap_clock)
	while IFS= read -r line; do
		case $line in
		"@status "*)
			status=${line#@status }
			break ;;
		"1.."[0-9]*)
			echo "  $line" >&5
			line=${line#1..}
			planned=${line%%[!0-9]*}
			continue ;;
		"not ok "[0-9]*" # SKIP "*)
			skip=$((skip + 1))
			line=${line#not }
			line="${line%% # SKIP *} ${line##*# SKIP } # SKIP" ;;
		"ok "[0-9]*) pass=$((pass + 1)) ;;
		"not ok "[0-9]*) fail=$((fail + 1)) ;;
		"") continue ;;
		"# "*)
			echo "  $line" >&5
			continue ;;
		*)
			echo "  # $line" >&5
			continue ;;
		esac
		echo "  $line" >&5
		# what makes a run long shows
		read -r ktap_now _ </proc/uptime
		ktap_took=$((${ktap_now%.*} - ktap_since))
		ktap_since=${ktap_now%.*}
		[ "$ktap_took" -lt 3 ] || echo "  # $ktap_took s" >&5
	done

	cases=$((pass + fail + skip))
	why=
	verdict=pass
	if [ "$status" = 4 ] && [ -z "$planned" ]; then
		verdict=skip
		skip=1
		why="the program cannot run here"
	elif [ -z "$planned" ]; then
		why="no plan, exit status $status"
	elif [ "$status" = 124 ] || [ "$status" = 137 ] || [ "$status" = 143 ]; then
		why="out of time or killed after $cases of $planned cases"
	elif [ "$cases" -ne "$planned" ]; then
		why="$cases of $planned cases, exit status $status"
	elif [ "$planned" -eq 0 ] && [ -n "${PEERSHM_TEST_FILTER-}" ]; then
		verdict=skip
		skip=1
		why="no case is like $PEERSHM_TEST_FILTER"
	elif [ "$planned" -eq 0 ]; then
		why="no cases"
	elif [ "$fail" -gt 0 ]; then
		verdict=fail
	elif [ "$status" != 0 ]; then
		why="exit status $status"
	fi
	# what is not the fault of one case counts as a failure of its own
	if [ "$verdict" = pass ] && [ -n "$why" ]; then
		verdict=fail
		fail=$((fail + 1))
	fi
	echo "$verdict $pass $fail $skip $why" >"$1"
}

ktap_program() {
	ktap_name=$1
	ktap_limit=$2
	shift 2
	ktap_counts=$(mktemp)
	ktap_began=$(ktap_clock)
	{
		echo "# $ktap_name"
		echo "  KTAP version 1"
	} >&5
	{
		# shellcheck disable=SC2030 # meant for the program alone
		export CMOCKA_MESSAGE_OUTPUT=TAP
		timeout -k 5 "$ktap_limit" "$@" 2>&1 </dev/null
		printf '\n@status %s\n' $?
	} | ktap_cases "$ktap_counts"
	if ! read -r ktap_verdict pass fail skip ktap_why <"$ktap_counts"; then
		ktap_verdict=fail
		pass=0
		fail=1
		skip=0
		ktap_why="its count is lost"
	fi
	rm -f "$ktap_counts"
	ktap_pass=$((ktap_pass + pass))
	ktap_fail=$((ktap_fail + fail))
	ktap_skip=$((ktap_skip + skip))
	ktap_line "$ktap_verdict" "$ktap_name" "$ktap_why"
	echo "# $ktap_name: $(($(ktap_clock) - ktap_began)) s"
}

ktap_totals() {
	echo "# Totals: pass:$ktap_pass fail:$ktap_fail xfail:0 xpass:0 skip:$ktap_skip error:0"
	[ "$ktap_fail" -eq 0 ]
}
