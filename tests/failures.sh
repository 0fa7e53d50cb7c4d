# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Of KTAP on stdin: what failed, with its diagnosis, which is the comments before and after it.
#
#   failures only   that
#   failures live   and the tests that passed, without their cases; each line as it comes
#
# A word and a colon before a line tell the streams of several machines apart.

failures_lines=60	# of a diagnosis before, and after, are enough

failures() {
	local line stream failed
	local -A before after
	while IFS= read -r line; do
		line=${line%$'\r'}
		stream=.
		[[ ! $line =~ ^[^\ #]+:\  ]] || stream=${BASH_REMATCH[0]}
		failed=${after[$stream]-}
		case ${line#"$stream"} in
		"# selftests: "* | "# Totals: "* | "  # "[0-9]*" s")
			;;
		"# "* | "  # "*)
			if [[ ${failed:-0} -gt 0 ]]; then
				echo "$line"
				after[$stream]=$((failed - 1))
			# what a step prints comes after its line
			elif [[ ! $failed && ${line#"$stream"} == "  "* ]]; then
				before[$stream]+=$line$'\n'
			fi ;;
		"not ok "* | "  not ok "*)
			[[ ! ${before[$stream]-} ]] || tail -n "$failures_lines" <<< "${before[$stream]%$'\n'}"
			echo "$line"
			before[$stream]=
			after[$stream]=$failures_lines ;;
		*)
			[[ $1 != live || ${line#"$stream"} != "ok "* ]] || echo "$line"
			before[$stream]=
			after[$stream]= ;;
		esac
	done
}
