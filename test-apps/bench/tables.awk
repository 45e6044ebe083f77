# The benchmark's medians as markdown: a table for each row, with a line for
# each command and a column for each metric.  With figure.awk.
#
# SPDX-License-Identifier: MIT

BEGIN { FS = "," }

{
	if (!($1 in n))
		rows[++nrows] = $1
	line = $2 "," $3
	if (!(($1, line) in command)) {
		command[$1, line] = $8
		lines[$1, ++n[$1]] = line
	}
	if (!(($1, $4) in unit)) {
		unit[$1, $4] = $6
		metrics[$1, ++m[$1]] = $4
	}
	v[$1, line, $4] = $5
}

function table(row,    i, j, u, who)
{
	printf "\n### %s\n\n| |", row
	for (j = 1; j <= m[row]; j++) {
		u = unit[row, metrics[row, j]]
		printf " %s%s |", metrics[row, j], u == "" ? "" : ", " u
	}
	printf " command |\n|---|"
	for (j = 0; j <= m[row]; j++)
		printf "---|"
	printf "\n"
	for (i = 1; i <= n[row]; i++) {
		split(lines[row, i], who, ",")
		printf "| %s |", who[1]
		for (j = 1; j <= m[row]; j++)
			printf " %s |",
				figure(v[row, lines[row, i], metrics[row, j]])
		printf " `%s` |\n", command[row, lines[row, i]]
	}
}

END {
	for (r = 1; r <= nrows; r++)
		table(rows[r])
}
