# What the README has of the benchmark's medians.  With figure.awk.
#
# SPDX-License-Identifier: MIT

BEGIN { FS = "," }

{ v[$1, $2, $3, $4] = $5 }

function noop(who)
{
	return figure(v["noop", who, "n=50000;t=2;w=1", "rate"])
}

function cold(who)
{
	return figure(v["cold", who, "n=50000;t=2;w=1", "rate"])
}

function streams(who, t)
{
	return figure(v["streams", who, "n=1000;k=100;t=" t ";e=poll", "rate"])
}

function sync(who, k, metric)
{
	return v["sync", who, "k=" k ";t=2", metric]
}

END {
	print "| | lws-threadpool | lws's own | libuv | libuv, no malloc " \
		"| GLib |"
	print "|---|---|---|---|---|---|"
	printf "| tasks a second that do nothing, 50,000 queued " \
		"| %s | %s | %s | %s | %s |\n", noop("ours"), noop("builtin"),
		noop("uv"), noop("uv-array"), noop("glib")
	printf "| the same, first of all in a process, with data allocated " \
		"| %s | | %s | | %s |\n", cold("ours"), cold("uv"), cold("glib")
	printf "| SYNCs a second of 1,000 streams " \
		"| %s, by 2 threads | %s, by 1,000 threads | | | |\n",
		streams("ours", 2), streams("builtin", 1000)
	printf "| a SYNC and its answer, p50 | %s us | %s us | | | |\n",
		figure(sync("ours", 1000000, "p50")),
		figure(sync("builtin", 200000, "p50"))
	printf "| the same, the worst | %s ms | %s ms | | | |\n",
		figure(sync("ours", 1000000, "worst") / 1000),
		figure(sync("builtin", 200000, "worst") / 1000)
}
