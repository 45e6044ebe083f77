# The benchmark's raw lines in, one line for each figure out:
# row,who,parameters,metric,median,unit,rounds,command
#
# SPDX-License-Identifier: MIT

BEGIN { FS = "," }

{
	who = $2
	# a row that has ways of its own does not say which program it was
	if ($7 ~ /^bench-builtin/ && who != "builtin")
		who = "builtin " who
	if ($7 ~ /^bench-baseline/)
		who = who == "ours" ? "baseline" : "baseline " who
	key = $1 "," who "," $3 "," $4
	if (!(key in n))
		order[++keys] = key
	v[key, ++n[key]] = $5
	unit[key] = $6
	command[key] = $7
}

function sort(k,    a, b, x)
{
	for (a = 2; a <= n[k]; a++) {
		x = v[k, a]
		for (b = a - 1; b && v[k, b] + 0 > x + 0; b--)
			v[k, b + 1] = v[k, b]
		v[k, b + 1] = x
	}
}

END {
	for (i = 1; i <= keys; i++) {
		k = order[i]
		sort(k)
		lo = v[k, int((n[k] + 1) / 2)]
		hi = v[k, int(n[k] / 2) + 1]
		printf "%s,%.6g,%s,%d,%s\n", k, (lo + hi) / 2, unit[k], n[k],
			command[k]
	}
}
