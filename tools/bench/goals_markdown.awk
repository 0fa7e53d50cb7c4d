# SPDX-License-Identifier: GPL-2.0-only
# goals.csv -> a table in Markdown
BEGIN {
	FS = ","
	print "| goal | must | measured | reached |"
	print "|---|---|---|---|"
}
NR > 1 {
	printf "| %s | %s | %s | %s |\n", $1, $3, $2, $4
}
