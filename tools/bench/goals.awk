# SPDX-License-Identifier: GPL-2.0-only
#
# results.csv -> goals.csv: what peershm is to reach, each a figure that less of is better
# ("<=") or more (">="). A figure that was not measured was not reached.
function value(figure, subject, backing, peers, bytes) {
	return seen[figure, subject, backing, peers, bytes]
}
function goal(name, result, sense, must,    reached) {
	if (result == "") {
		printf "%s,not there,%s %s,no\n", name, sense, must
		return
	}
	reached = sense == "<=" ? result + 0 <= must + 0 : result + 0 >= must + 0
	printf "%s,%.4g,%s %s,%s\n", name, result, sense, must, reached ? "yes" : "no"
}
function ratio(a, b) {
	return a == "" || b == "" || b + 0 == 0 ? "" : a / b
}
function greater(a, b) {
	return a == "" || b == "" ? "" : (a + 0 > b + 0 ? a : b)
}
# a memset is the same however many peers there are: that of the same minute counts
function over_memset(figure, backing, peers) {
	return ratio(value(figure, "peershm", backing, peers, 128 * M),
		     value("grow", "memset", "thp", peers, 128 * M))
}
BEGIN {
	FS = ","
	M = 1048576
	G = 1024 * M
	print "figure,value,must,reached"
}
NR > 1 {
	key = $7 == "instructions" ? "instructions " $1 : $1
	seen[key, $2, $3, $4, $5] = $6
	if ($1 == "faults.max" && $2 == "peershm") {
		all_faults += $6
		counted = 1
	}
}
function count(backing, peers, bytes) {
	return value("instructions map", "peershm", backing, peers, bytes)
}
function count_per_page(backing, peers, bytes,    map) {
	map = count(backing, peers, bytes)
	return map == "" ? "" : map / (bytes / 4096 * peers)
}
END {
	goal("hugetlb-2m grow / memset: 1 peer", over_memset("grow", "hugetlb-2m", 1), "<=", 1.15)
	goal("hugetlb-2m grow / memset: 16 peers", over_memset("grow", "hugetlb-2m", 16), "<=", 1.15)
	goal("hugetlb-2m map of 1 GiB: instructions 64 peers / 1 peer",
	     ratio(count("hugetlb-2m", 64, G), count("hugetlb-2m", 1, G)), "<=", 1.5)
	goal("thp grow / memset: 1 peer", over_memset("grow", "thp", 1), "<=", 1.10)
	goal("thp grow / memset: 16 peers", over_memset("grow", "thp", 16), "<=", 1.25)
	goal("thp map: instructions per 4 KiB and peer", count_per_page("thp", 16, 128 * M), "<=", 22)
	goal("small map: instructions per page and peer with any fault-around",
	     greater(count_per_page("small", 16, 32 * M), count_per_page("small-no-fault-around", 16, 32 * M)),
	     "<=", 1000)
	goal("small grow / memset: 1 peer", over_memset("grow", "small", 1), "<=", 1.9)
	goal("hugetlb-2m grow within the reserve / memset: 16 peers",
	     over_memset("grow-reserve", "hugetlb-2m", 16), "<=", 0.01)
	goal("thp grow within the reserve / memset: 16 peers", over_memset("grow-reserve", "thp", 16), "<=", 0.13)
	goal("faults in any peer on new memory", counted ? all_faults + 0 : "", "<=", 0)
	populate = value("written", "memfd-populate", "small", 16, 128 * M)
	goal("16 peers have written: memfd-populate / thp", ratio(populate, value("written", "peershm", "thp", 16, 128 * M)),
	     ">=", 6)
	goal("16 peers have written: memfd-populate / thp with reserve",
	     ratio(populate, value("written-reserve", "peershm", "thp", 16, 128 * M)), ">=", 15)
	dpdk = value("grow", "dpdk", "hugetlb-2m", 16, 128 * M)
	goal("grow with 16 peers: DPDK / hugetlb-2m", ratio(dpdk, value("grow", "peershm", "hugetlb-2m", 16, 128 * M)),
	     ">=", 6)
	goal("grow with 16 peers: DPDK / hugetlb-2m with reserve",
	     ratio(dpdk, value("grow-reserve", "peershm", "hugetlb-2m", 16, 128 * M)), ">=", 1000)
	goal("shrink with 16 peers: DPDK / hugetlb-2m",
	     ratio(value("shrink", "dpdk", "hugetlb-2m", 16, 128 * M),
	     value("shrink", "peershm", "hugetlb-2m", 16, 128 * M)), ">=", 1000)
	goal("late attach to 1 GiB: thp / memfd-populate",
	     ratio(value("attach", "peershm", "thp", 0, G), value("attach", "memfd-populate", "small", 1, G)), "<=", 0.01)
}
