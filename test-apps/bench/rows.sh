# shellcheck shell=bash
#
# Which rows scripts/bench runs.  To be sourced, not run.
#
# plan ROUNDS PROGRAM ROW [OPTION...] adds one.  ROUNDS at most, 0 is all: what
# hangs or takes long is not worth many.  PROGRAM is bench with this library,
# bench-baseline (the same program with the library of another revision),
# bench-builtin (libwebsockets' own threadpool), bench-smp (this library on a
# libwebsockets that can have two service threads) or bench-cluster.
#
# SPDX-License-Identifier: MIT

plan_quick() {
	local who

	for who in ours uv glib; do
		plan 0 bench noop -n 50000 -r 6 -m "$who"
		plan 0 bench cold -n 20000 -r 3 -m "$who"
	done
	plan 0 bench sync -k 5000
	plan 0 bench sync -k 5000 -m floor
	plan 0 bench writeables -s 0.3
	plan 0 bench streams -n 10 -k 1000
	plan 0 bench-baseline streams -n 10 -k 1000
	plan 0 bench streams -n 1000
	plan 0 bench streams -n 1000 -m opt-in
	plan 0 bench streams -n 9000 -k 20
	plan 0 bench enqueue -n 20000 -t 4
	plan 0 bench enqueue -n 1000 -t 4 -m first
	plan 0 bench http -n 300 -w 4 -t 1
	plan 0 bench downloads -w 64 -t 32 -s 1
	for who in inline ours; do
		plan 0 bench requests -w 16 -s 0.5 -m "$who"
	done
	for who in ours mhd civetweb; do
		plan 0 bench requests -w 64 -t 16 -b 1000 -s 0.5 -m "$who"
	done
	plan 0 bench connect -n 1000 -f 1024
	for who in ours empty; do
		plan 0 bench destroy -n 500 -w 2000 -m "$who"
	done
	plan 0 bench streams -n 1000 -m serve
	for who in ours eventfd thread; do
		plan 0 bench park -k 1000 -m "$who"
	done
	for who in ours uv cancel; do
		plan 0 bench call -k 1000 -n 50000 -m "$who"
	done
	plan 0 bench asks -t 4 -s 0.5
	for who in 1 1000 20000; do
		plan 0 bench keys -n 20000 -w "$who"
	done
	plan 0 bench memory -m queued
	plan 0 bench memory -m syncing
	plan 0 bench memory -m parked
	plan 0 bench idle -s 2
	plan 0 bench idle -s 2 -n 9000
}

plan_noop() {
	local n t who

	for n in 1000 10000 50000 1000000; do
		for who in ours uv uv-array glib; do
			plan 0 bench noop -n $n -r 6 -m "$who"
		done
	done
	for n in 1000 10000; do
		plan 0 bench-builtin noop -n $n
	done
	plan 2 bench-builtin noop -n 50000
	plan 1 bench-builtin noop -n 1000000
	for t in 1 4 8; do
		for who in ours uv uv-array glib; do
			plan 0 bench noop -n 50000 -r 6 -t $t -m "$who"
		done
	done
	plan 0 bench noop -n 50000 -r 6 -w 1000
	plan 1 bench-builtin noop -n 50000 -w 1000
}

plan_cold() {
	local n rounds who

	for n in 1000 50000 1000000; do
		rounds=$((n < 1000000 ? 7 : 3))
		for who in ours uv glib; do
			plan 0 bench cold -n $n -r $rounds -m "$who"
		done
		plan 0 bench-baseline cold -n $n -r $rounds
	done
}

plan_sync() {
	plan 0 bench sync -k 1000000
	plan 0 bench-baseline sync -k 1000000
	plan 0 bench sync -k 200000 -m floor
	plan 0 bench sync -k 200000 -m no-spin
	plan 2 bench-builtin sync -k 200000
}

plan_streams() {
	local n lib

	for n in 10 100 1000 9000; do
		plan 0 bench streams -n $n
		plan 0 bench-baseline streams -n $n
		# what lws can do alone, beside those that are compared with it
		if ((n == 1000)); then
			plan 0 bench writeables -s 2
			plan 0 bench streams -n $n -m opt-in
			plan 0 bench streams -n $n -m serve
			plan 0 bench writeables -s 2 -m sockets
		fi
		for lib in uv ev; do
			plan 0 bench streams -n $n -e $lib
		done
	done
	# of 100 SYNCs each, 10 streams are over in a millisecond
	plan 0 bench streams -n 10 -k 10000
	plan 0 bench-baseline streams -n 10 -k 10000
	plan 0 bench streams -n 1000 -m no-spin
	for n in 2 6 12; do
		plan 0 bench streams -n 1 -k 20000 -b $n
		plan 0 bench streams -n 1 -k 20000 -b $n -m no-spin
		plan 2 bench-builtin streams -n 1 -k 20000 -b $n -t 1
	done
	plan 3 bench-builtin streams -n 10 -t 10
	plan 3 bench-builtin streams -n 100 -t 100
	plan 3 bench-builtin streams -n 1000 -t 1000
	plan 3 bench-builtin streams -n 1000 -t 64
	plan 3 bench-builtin streams -n 9000 -t 64
}

plan_servers() {
	local who

	plan 0 bench enqueue -t 4
	plan 0 bench enqueue -t 4 -m uv
	plan 3 bench-builtin enqueue -t 4 -n 20000
	plan 0 bench enqueue -t 4 -m first

	plan 0 bench http -w 4 -t 1 -m idle
	plan 0 bench http -w 4 -t 1
	plan 0 bench-builtin http -w 4 -t 1
	plan 2 bench http -w 4 -t 1 -m blocking -l 10

	plan 0 bench downloads -w 64 -t 32 -s 3
	plan 0 bench downloads -w 64 -t 32 -s 3 -m blocking
	plan 0 bench-builtin downloads -w 64 -t 32 -s 3

	for who in inline ours opt-in; do
		plan 0 bench requests -w 16 -s 2 -m "$who"
	done
	plan 0 bench-baseline requests -w 16 -s 2
	for who in inline ours mhd civetweb; do
		plan 0 bench requests -w 64 -t 16 -b 1000 -s 2 -m "$who"
	done
}

plan_contexts() {
	local n

	plan 0 bench connect -f 1024
	plan 0 bench connect -f 20000
	plan 0 bench-builtin connect -f 1024

	plan 0 bench destroy -w 7000 -f 20000
	plan 0 bench destroy -w 7000 -f 20000 -m empty

	for n in 1 2; do
		plan 0 bench-smp lookups -t $n -s 2
	done
}

# what other threads have to do with it
plan_threads() {
	local who n

	for who in ours no-spin eventfd thread; do
		plan 0 bench park -m "$who"
	done
	for who in ours uv cancel; do
		plan 0 bench call -m "$who"
	done
	for who in ours cancel; do
		plan 0 bench asks -t 4 -s 2 -m "$who"
	done
	plan 0 bench keys -m none
	for n in 1 1000 1000000; do
		plan 0 bench keys -w $n
	done
}

plan_size() {
	plan 3 bench memory -m queued -n 1000000
	plan 3 bench memory -m syncing -n 1000000
	plan 3 bench memory -m parked -n 1000000
	plan 3 bench memory -m wsi -n 9000
	plan 3 bench memory -m opt-in -n 9000
	plan 3 bench-builtin memory -m queued -n 10000
	plan 3 bench-builtin memory -m syncing -n 100 -t 100
	plan 3 bench-builtin memory -m wsi -n 1000

	plan 3 bench idle -m none
	plan 3 bench idle -m none -n 9000
	plan 3 bench idle
	plan 3 bench idle -n 9000
	plan 3 bench-builtin idle
	plan 3 bench-builtin idle -n 100 -t 100
}

# With no worker it is the same work in the local pool.
plan_cluster() {
	local workers

	for workers in 0 1 2 4; do
		plan 0 bench-cluster cluster -w $workers -n 1000 -k 50
		plan 0 bench-cluster cluster -w $workers -n 20000 -k 1
		plan 0 bench-cluster cluster -w $workers -n 1000 -k 50 -b 100
	done
	for workers in 1 2 4; do
		plan 0 bench-cluster cluster -w $workers -n 1000 -k 50 -l
		plan 0 bench-cluster cluster -w $workers -n 20000 -k 1 -l
		plan 0 bench-cluster cluster -w $workers -n 1000 -k 50 -b 100 -l
	done
	for workers in 0 1; do
		plan 0 bench-cluster cluster -w $workers -n 1 -k 1000 -b 500
	done
	plan 0 bench-cluster cluster -w 1 -n 1 -k 1000 -b 500 -l
}
