# SPDX-License-Identifier: GPL-2.0-only
# results.csv -> tables in Markdown; with -v brief=1 the first of them alone
function time(ns) {
	if (ns == "")
		return "-"
	if (ns < 1000000)
		return sprintf("%.0f us", ns / 1000)
	if (ns < 100000000)
		return sprintf("%.1f ms", ns / 1000000)
	return sprintf("%.0f ms", ns / 1000000)
}
function size(bytes) {
	if (bytes >= G)
		return bytes / G " GiB"
	return bytes >= M ? bytes / M " MiB" : bytes / 1024 " KiB"
}
function spread(figure, who, peers, bytes,    key) {
	key = who SUBSEP peers SUBSEP bytes
	if (seen[figure, key] == "")
		return "-"
	return time(seen[figure, key]) " (" time(seen[figure ".min", key]) " to " time(seen[figure ".max", key]) ")"
}
function get(figure, who, peers, bytes) {
	return seen[figure, who, peers, bytes]
}
BEGIN {
	FS = ","
	M = 1048576
	G = 1024 * M
}
NR > 1 && $7 != "instructions" {
	who = $2 " " $3
	if ($2 == "memset")
		who = "memset"
	if (!(who in known)) {
		known[who] = 1
		order[++subjects] = who
	}
	seen[$1, who, $4, $5] = $6
}
NR > 1 && $7 == "instructions" && $1 == "map" {
	counts[++counted] = sprintf("| %s %s | %s | %s | %.0f | %.1f |", $2, $3, $4, size($5), $6, $6 / ($5 / 4096 * $4))
}
END {
	if (subjects) {
		print "128 MiB, 16 peers; median (least to greatest):\n"
		print "| | grow | until all have written | page faults | shrink | page tables |"
		print "|---|---|---|---|---|---|"
		for (i = 1; i <= subjects; i++) {
			who = order[i]
			peers = who == "memset" ? 1 : 16
			if (get("grow", who, peers, 128 * M) == "")
				continue
			printf "| %s | %s | %s | %s | %s | %s |\n", who, spread("grow", who, peers, 128 * M),
				spread("written", who, peers, 128 * M), get("faults", who, peers, 128 * M),
				who == "memset" ? "-" : spread("shrink", who, peers, 128 * M),
				who == "memset" ? "-" : get("page-tables", who, peers, 128 * M) / 1024 " KiB"
		}
		if (brief)
			exit
		n = split("4096 65536 2097152 16777216 134217728 1073741824", sizes, " ")
		split("grow written", tables, " ")
		split("Grow with 16 peers, until the call returns|The same, until every peer has written every page", titles, "|")
		for (t = 1; t <= 2; t++) {
			printf "\n%s:\n\n|", titles[t]
			for (s = 1; s <= n; s++)
				printf " | %s", size(sizes[s])
			print " |"
			print "|---|---|---|---|---|---|---|"
			for (i = 1; i <= subjects; i++) {
				who = order[i]
				if (who == "memset" && t == 2)
					continue
				printf "| %s", who
				for (s = 1; s <= n; s++)
					printf " | %s", time(get(tables[t], who, who == "memset" ? 1 : 16, sizes[s]))
				print " |"
			}
		}
		print "\nLate attach to 1 GiB, until all of it is mapped:\n"
		print "| | |"
		print "|---|---|"
		for (i = 1; i <= subjects; i++) {
			who = order[i]
			for (peers = 0; peers <= 16; peers++) {
				if (get("attach", who, peers, G) != "")
					printf "| %s | %s |\n", who, spread("attach", who, peers, G)
			}
		}
	}
	if (counted) {
		print "\nPeer map alone, instructions:\n"
		print "| | peers | size | in all | per 4 KiB and peer |"
		print "|---|---|---|---|---|"
		for (i = 1; i <= counted; i++)
			print counts[i]
	}
}
