# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
#   alone NAME   end this script if one of that name is at work in this tree: it would take
#                what that one leaves in build/. What both run is built by then: a tree that
#                tests run in is not to be changed.

alone() {
	local lock
	mkdir -p build
	exec {lock}> "build/$1.lock"
	if ! flock -n "$lock"; then
		echo "$0: it runs in this tree already" >&2
		exit 2
	fi
}
