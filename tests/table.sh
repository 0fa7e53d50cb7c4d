# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A table of runs of the device tests: a run passes if something passed, nothing failed,
# and the kernel log is clean.
#
#   table_watch NAME RELEASE OUT LOG COMMAND...   run it, print what ended how, leave a row in
#                                                 OUT.row: for runs beside each other
#   table_add NAME OUT                            add it, once the run is done
#   table_print                                   what was skipped, and the table
#
# What the command prints goes to the file OUT; the kernel log is in LOG afterwards. The
# counts of all runs are those that ktap_totals prints.

# shellcheck source=tests/ktap.sh
. tests/ktap.sh
# shellcheck source=tests/failures.sh
. tests/failures.sh

table_format='%-16s %-30s %6s %6s %7s  %-6s %7s  %s'
# shellcheck disable=SC2059
table_rows=$(printf "$table_format" kernel release passed failed skipped log seconds result)
table_skips=

# the tests that were skipped, and why, from KTAP on stdin
table_skipped() {
	tr -d '\r' | awk '
		/^# selftests: / { program = $3; sub(/^peershm:/, "", program); sub(/:$/, "", program) }
		/^  # SKIP / { sub(/^  # SKIP /, ""); why = $0; next }
		/^  ok [0-9]+ .* # SKIP$/ {
			sub(/^  ok [0-9]+ /, ""); sub(/ # SKIP$/, "")
			print program ": " $0 ": " (why == "" ? "no reason given" : why)
		}
		/^ok [0-9]+ .* # SKIP / { sub(/^ok [0-9]+ /, ""); sub(/ # SKIP /, ": "); print }
		/^  (not )?ok / { why = "" }'
}

table_totals() {
	tr -d '\r' | sed -n 's/^# Totals: pass:\([0-9]*\) fail:\([0-9]*\) .*skip:\([0-9]*\) .*/\1 \2 \3/p' |
		tail -n 1
}

table_watch() {
	local name=$1 release=$2 out=$3 log=$4 start=$SECONDS status pass fail skip clean=clean result=ok
	shift 4
	rm -f "$log" "$out.row"
	echo "begins"
	"$@" < /dev/null 2>&1 | tee "$out" | failures live
	status=${PIPESTATUS[0]}

	read -r pass fail skip < <(table_totals < "$out") || pass=0 fail=0 skip=0
	if [[ ! -s $log ]]; then
		clean=none
	elif grep -v '^#' tools/vm/forbidden | grep -E -q -f - "$log"; then
		clean=dirty
	fi
	if [[ $status -ne 0 || $pass -eq 0 || $fail -ne 0 || $clean != clean ]]; then
		result=FAILED
		# what is not the fault of one test counts as a failure of its own
		if [[ $fail -eq 0 ]]; then
			fail=1
			echo "not ok $name # exit status $status, kernel log $clean"
		fi
		[[ $pass -gt 0 ]] || tail -n 20 "$out" | sed 's/^/# /'
	fi
	# shellcheck disable=SC2059
	printf "$table_format\n" "$name" "${release:-?}" "$pass" "$fail" "$skip" "$clean" \
		$((SECONDS - start)) "$result" > "$out.row"
}

table_add() {
	local name=$1 out=$2 row pass fail skip line
	if [[ ! -s $out.row ]]; then
		echo "not ok $name # it ended early"
		touch "$out"
		# shellcheck disable=SC2059
		printf "$table_format\n" "$name" "?" 0 1 0 none 0 FAILED > "$out.row"
	fi
	row=$(< "$out.row")
	read -r _ _ pass fail skip _ <<< "$row"
	ktap_pass=$((ktap_pass + pass))
	ktap_fail=$((ktap_fail + fail))
	ktap_skip=$((ktap_skip + skip))
	table_rows+=$'\n'$row
	while read -r line; do
		table_skips+="$name: $line"$'\n'
	done < <(table_skipped < "$out")
}

table_print() {
	echo
	if [[ $table_skips ]]; then
		echo "Skipped:"
		printf '%s' "$table_skips" | sed 's/^/  /'
		echo
	fi
	echo "$table_rows"
}
