# The benchmark's medians as a table for a terminal
#
# SPDX-License-Identifier: MIT

BEGIN { FS = "," }

function figure(x)
{
	if (x >= 1e6)
		return sprintf("%.2f M", x / 1e6)

	return x >= 1e4 ? sprintf("%.1f k", x / 1e3) : sprintf("%.4g", x)
}

{
	name = $1 " " $2 " " $3
	printf "%-46s %-26s %10s %s\n", name == last ? "" : name, $4,
		figure($5), $6
	last = name
}
