# What the benchmark aims at, what was measured, and whether that is met.  In:
# the medians; text: bytes of the library's text; lines: of its sources;
# noop_takes, sync_takes: instructions of its.
#
# SPDX-License-Identifier: MIT

BEGIN { FS = "," }

{ v[$1, $2, $3, $4] = $5 }

function get(row, who, par, metric)
{
	known = known && ((row, who, par, metric) in v)

	return v[row, who, par, metric] + 0
}

function noop(who, n)
{
	return get("noop", who, "n=" n ";t=2;w=1", "rate")
}

function cold(who, n)
{
	return get("cold", who, "n=" n ";t=2;w=1", "rate")
}

function sync(who, metric)
{
	return get("sync", who, (who == "ours" ? "k=1000000" : "k=200000") \
		   ";t=2", metric)
}

function streams(who, n, t)
{
	return get("streams", who, "n=" n ";k=100;t=" t ";e=poll", "rate")
}

# of 1,000 streams, in parts of the WRITEABLEs that lws alone calls
function part_of_lws(who)
{
	return ratio(get("streams", who, "n=1000;k=100;t=2;e=poll", "rate"),
		     get("writeables", "files", "n=1000;s=2", "rate"))
}

function ten_streams(who)
{
	return get("streams", who, "n=10;k=10000;t=2;e=poll", "rate")
}

# that have nothing to do
function requests(who)
{
	return get("requests", who, "w=16;b=0;t=2;s=2", "rate")
}

function blocking(who)
{
	return get("requests", who, "w=64;b=1000;t=16;s=2", "rate")
}

function destroy(who)
{
	return get("destroy", who, "n=2000;w=7000;f=20000", "destroy")
}

function lookups(t)
{
	return get("lookups", "ours", "t=" t ";s=2", "rate")
}

function enqueue(metric)
{
	return get("enqueue", "ours", "n=100000;t=4", metric)
}

function connect(metric)
{
	return get("connect", "ours", "n=5000;f=1024", metric)
}

function idle(who, n, thread)
{
	return get("idle", who, "n=" n ";t=2;s=10", thread " wake-ups")
}

function ratio(a, b)
{
	return b ? a / b : 0
}

# to begin an aim: what is measured next is all that it needs
function aim(what)
{
	text_of_aim = what
	known = 1
}

function result(x, unit, met)
{
	if (known)
		printf "| %s | %.4g%s | %s |\n", text_of_aim, x, unit,
			met ? "met" : "**missed**"
	else
		printf "| %s | not measured | |\n", text_of_aim
}

function at_least(least, x)
{
	result(x, "", x >= least)
}

function at_most(most, x, unit)
{
	result(x, unit, x <= most)
}

function over(least, x)
{
	result(x, "", x > least)
}

# what the script has measured, without a row
function counted(x)
{
	known = known && x != ""

	return x + 0
}

function noop_aims()
{
	aim("no-op tasks/s at 50,000, over the built-in one: at least 100")
	at_least(100, ratio(noop("ours", 50000), noop("builtin", 50000)))
	aim("no-op tasks/s at 50,000, over libuv: at least 1.5")
	at_least(1.5, ratio(noop("ours", 50000), noop("uv", 50000)))
	aim("the same at 1,000,000: at least 1.3")
	at_least(1.3, ratio(noop("ours", 1000000), noop("uv", 1000000)))
	aim("no-op tasks/s at 50,000, over GLib: at least 0.8")
	at_least(0.8, ratio(noop("ours", 50000), noop("glib", 50000)))
	aim("a task at 1,000,000, over one at 1,000: at most 1.3")
	at_most(1.3, ratio(noop("ours", 1000), noop("ours", 1000000)))
	aim("no-op tasks/s, cold, at 50,000, over libuv: at least 1.5")
	at_least(1.5, ratio(cold("ours", 50000), cold("uv", 50000)))
	aim("the same at 1,000,000, over 50,000: at least 0.9")
	at_least(0.9, ratio(cold("ours", 1000000), cold("ours", 50000)))
	aim("instructions of ours, a no-op task: at most 700")
	at_most(700, counted(noop_takes))
}

function sync_aims()
{
	aim("a SYNC, p50 over the floor: at most 0.15")
	at_most(0.15, ratio(sync("ours", "p50"), sync("floor", "p50")))
	aim("a SYNC, p50: at most 3 us")
	at_most(3, sync("ours", "p50"), " us")
	aim("over the floor with the spin off: at most 1.1")
	at_most(1.1, ratio(sync("no-spin", "p50"), sync("floor", "p50")))
	aim("the worst SYNC of a million: under 20 ms")
	at_most(20, sync("ours", "worst") / 1000, " ms")
	aim("instructions of ours, a SYNC: at most 600")
	at_most(600, counted(sync_takes))
}

function streams_aims()
{
	aim("SYNCs/s of 1,000 streams, over the built-in one: at least 10")
	at_least(10, ratio(streams("ours", 1000, 2),
			   streams("builtin", 1000, 1000)))
	aim("the same, over the WRITEABLEs/s of lws alone: at least 0.20")
	at_least(0.2, part_of_lws("ours"))
	aim("the same with the opt-in: at least 0.25")
	at_least(0.25, part_of_lws("opt-in"))
	aim("SYNCs/s of 9,000 streams, over those of 1,000: at least 0.8")
	at_least(0.8, ratio(streams("ours", 9000, 2),
			    streams("ours", 1000, 2)))
	aim("SYNCs/s of 10 streams, over those of the baseline: at least 2")
	at_least(2, ratio(ten_streams("ours"), ten_streams("baseline")))
	aim("of 9,000 streams, under way when the first ends: all")
	at_least(9000, get("streams", "ours", "n=9000;k=100;t=2;e=poll",
			   "streaming at the first end"))
}

function enqueue_aims()
{
	aim("an enqueue, p50, without the clock: under 200 ns")
	at_most(200, 1000 * (enqueue("p50") - enqueue("the clock itself")),
		" ns")
	aim("an enqueue, p99.9: under 20 us")
	at_most(20, enqueue("p99.9"), " us")
	aim("an enqueue, the worst that was not preempted: under 1 ms")
	at_most(1, enqueue("worst not preempted") / 1000, " ms")
	aim("the same for the first task of a wsi: under 1 ms")
	at_most(1, get("enqueue", "first", "n=2000;t=4",
		       "worst not preempted") / 1000, " ms")
}

function server_aims()
{
	aim("a cheap request, p99 over an idle server's: at most 2")
	at_most(2, ratio(get("http", "ours", "n=1000;w=4;t=1", "p99"),
			 get("http", "idle", "n=1000;w=4;t=1", "p99")))
	aim("downloads/s, over a blocking handler: at least 9")
	at_least(9, ratio(get("downloads", "ours", "w=64;t=32;s=3", "rate"),
			  get("downloads", "blocking", "w=64;t=32;s=3",
			      "rate")))
	aim("requests/s with nothing to do, over inline: at least 0.7")
	at_least(0.7, ratio(requests("ours"), requests("inline")))
	aim("requests/s that block 1 ms, over libmicrohttpd: more than 1")
	over(1, ratio(blocking("ours"), blocking("mhd")))
	aim("the same over civetweb: more than 1")
	over(1, ratio(blocking("ours"), blocking("civetweb")))
}

function context_aims()
{
	aim("the watch of a connection: under 6 us")
	at_most(6, connect("the watch"), " us")
	aim("the opt-in instead of it: under 1 us")
	at_most(1, connect("the opt-in"), " us")
	aim("the end of a context beside 7,000 wsi, over none: at most 1.2")
	at_most(1.2, ratio(destroy("ours"), destroy("empty")))
	aim("get_task_wsi()/s on 2 service threads, over 1: at least 1.7")
	at_least(1.7, ratio(lookups(2), lookups(1)))
}

function size_aims()
{
	aim("a queued task: at most 192 bytes")
	at_most(192, get("memory", "ours", "n=1000000;t=2;m=queued",
			 "queued task heap"), " bytes")
	aim("the text of the library: at most 36 KiB")
	at_most(36, counted(text) / 1024, " KiB")
	aim("lines of lib/: under 4,000")
	at_most(3999, counted(lines))
}

function idle_aims()
{
	aim("wake-ups of an idle pool in 10 s: 0")
	at_most(0, idle("ours", 0, "worker"))
	aim("wake-ups by 9,000 parked tasks in 10 s: 0")
	at_most(0, idle("ours", 9000, "worker") + \
		   idle("ours", 9000, "service thread") - \
		   idle("none", 9000, "service thread"))
}

END {
	print "| aim | measured | |"
	print "|---|---|---|"
	noop_aims()
	sync_aims()
	streams_aims()
	enqueue_aims()
	server_aims()
	context_aims()
	size_aims()
	idle_aims()
}
