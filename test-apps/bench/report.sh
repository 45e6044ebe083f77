# shellcheck shell=bash
#
# What scripts/bench shows and writes of what it measured.  To be sourced, not
# run.
#
# SPDX-License-Identifier: MIT

README=$TOP/READMEs/README.performance.md
AWK=$TOP/test-apps/bench

medians() {
	awk -f "$AWK/medians.awk" "$RAW"
}

show() {
	awk -f "$AWK/show.awk" "$DATA/medians.csv"
	if [[ -s $DATA/notes.txt ]]; then
		printf '\nnot run to the end:\n'
		cat "$DATA/notes.txt"
	fi
}

# --- READMEs ----------------------------------------------------------------

version_of() {
	dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo '?'
}

machine() {
	printf '%s, %s processors, %s GiB, Linux %s, %s\n' \
		"$(sed -n '/^model name/{s/.*: *//p;q}' /proc/cpuinfo)" \
		"$(nproc)" \
		"$(awk '/^MemTotal/ { printf "%.0f", $2 / 2^20 }' \
			/proc/meminfo)" \
		"$(uname -r)" "$(os_release PRETTY_NAME)"
	printf 'libwebsockets %s, libuv %s, GLib %s, gcc %s\n' \
		"$(version_of libwebsockets-dev)" "$(version_of libuv1-dev)" \
		"$(version_of libglib2.0-dev)" "$(gcc -dumpfullversion)"
	printf 'libmicrohttpd %s, civetweb %s\n' \
		"$(version_of libmicrohttpd-dev)" \
		"$(version_of libcivetweb-dev)"
	printf '%s, medians, interleaved rounds: %d (fewer of what %s\n' \
		"$(date -u -r "$RAW" '+%Y-%m-%d %H:%M UTC')" \
		"$(cut -d, -f7 "$DATA/medians.csv" | sort -n | tail -n 1)" \
		'takes long: see performance.csv)'
	printf 'load %s at the end\n' \
		"$(cat "$DATA/load.txt" 2>/dev/null || echo unknown)"
}

# instructions WHAT: in our library, for one of these
instructions() {
	awk -v what="$1-ours" '$1 == what { print $2 }' "$DATA/instructions.txt"
}

aims() {
	awk -v text="$(text_size)" -v lines="$(cat "$TOP"/lib/* | wc -l)" \
		-v noop_takes="$(instructions noop)" \
		-v sync_takes="$(instructions sync)" \
		-f "$AWK/aims.awk" "$DATA/medians.csv"
}

text_size() {
	size "$WORK/tree/liblws-threadpool.so" | awk 'NR == 2 { print $1 }'
}

tables() {
	awk -f "$AWK/figure.awk" -f "$AWK/tables.awk" "$DATA/medians.csv"
}

# for the README, in short
short() {
	awk -f "$AWK/figure.awk" -f "$AWK/short.awk" "$DATA/medians.csv"
	printf '\n'
	machine | sed -n "1s/\$/; $(date -u -r "$RAW" +%F)/p"
}

generated() {
	printf '## The figures\n\n'
	machine | sed 's/$/  /'
	printf '\n'
	aims
	printf '\nInstructions, by callgrind: '
	sed 's/-ours/ in our library/; s/-all/ in all/' \
		"$DATA/instructions.txt" | paste -sd, |
		sed 's/,/, /g; s/$/./'
	printf '\nText of the library: %d bytes. Lines of lib/: %d.\n' \
		"$(text_size)" "$(cat "$TOP"/lib/* | wc -l)"
	tables
	if [[ -s $DATA/notes.txt ]]; then
		printf '\nNot run to the end:\n\n'
		sed 's/^/- /' "$DATA/notes.txt"
	fi
}

write_readme() {
	generated | write_figures "$README" scripts/bench "$DATA"
	short | write_figures "$TOP/README.md" scripts/bench "$DATA"
	{
		printf 'row,who,parameters,metric,median,unit,rounds,command\n'
		cat "$DATA/medians.csv"
	} >"$TOP/READMEs/performance.csv"
}

# points ROW WHO FILTER METRIC: x (the first parameter's number) and y
points() {
	awk -F, -v row="$1" -v who="$2" -v filter="$3" -v metric="$4" '
	$1 == row && $2 == who && $3 ~ filter && $4 == metric {
		split($3, p, /[=;]/)
		print p[2], $5
	}' "$DATA/medians.csv" | sort -n
}

plot_file() {
	points "$2" "$3" "$4" "$5" >"$DATA/plot-$1.dat"
}

plot_files() {
	local who lib

	for who in ours uv uv-array glib builtin; do
		plot_file "noop-$who" noop "$who" ';t=2;w=1$' rate
	done
	for lib in poll uv ev; do
		plot_file "streams-$lib" streams ours ";k=100;t=2;e=$lib\$" rate
	done
	# with as many threads as streams, where it was run with that
	awk -F, '$1 == "streams" && $2 == "builtin" && $4 == "rate" {
		split($3, p, /[=;]/)
		if (p[2] == p[6])
			print p[2], $5
	}' "$DATA/medians.csv" | sort -n >"$DATA/plot-streams-builtin.dat"
	awk -F, '$1 == "sync" && $6 == "us" { v[$2, $4] = $5 }
	END {
		split("p50 p99 p99.9 worst", p, " ")
		for (i = 1; i <= 4; i++)
			print p[i], v["ours", p[i]],
				v["no-spin", p[i]], v["floor", p[i]],
				v["builtin", p[i]]
	}' "$DATA/medians.csv" >"$DATA/plot-sync.dat"
}

plots() {
	plot_files
	(cd "$DATA" && gnuplot) <<-END
		set terminal svg size 760,420 background "white" font "sans,13"
		set grid
		set key outside right
		set logscale xy
		set style data linespoints
		set output "$TOP/READMEs/performance-noop.svg"
		set title "No-op tasks a second, enqueue to reap, 2 threads"
		set xlabel "tasks queued"
		plot "plot-noop-ours.dat" title "lws-threadpool" lw 3, \
			"plot-noop-uv.dat" title "libuv", \
			"plot-noop-uv-array.dat" title "libuv, no malloc", \
			"plot-noop-glib.dat" title "GLib", \
			"plot-noop-builtin.dat" title "built-in"
		set output "$TOP/READMEs/performance-streams.svg"
		set title "SYNCs a second, 100 of each stream"
		set xlabel "streams"
		plot "plot-streams-poll.dat" title "2 threads, poll" lw 3, \
			"plot-streams-ev.dat" title "2 threads, libev", \
			"plot-streams-uv.dat" title "2 threads, libuv", \
			"plot-streams-builtin.dat" \
				title "built-in, a thread each"
		set output "$TOP/READMEs/performance-sync.svg"
		set title "Round trip of a SYNC, one stream"
		unset logscale x
		set xlabel ""
		set ylabel "us"
		set style data histograms
		set style fill solid 0.8
		plot "plot-sync.dat" using 2:xtic(1) title "lws-threadpool", \
			"" using 3 title "its spin off", \
			"" using 4 title "floor: no library", \
			"" using 5 title "built-in"
	END
}

