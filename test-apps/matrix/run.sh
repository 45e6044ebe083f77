# shellcheck shell=bash
#
# For scripts/test-matrix: what a row says of itself, and its run.  To be sourced.
#
# SPDX-License-Identifier: MIT

# the variables of scripts/test-matrix
# shellcheck disable=SC2153,SC2154

fail() {
	printf 'FAILED: %s\n' "$*"
	exit 1
}

# cannot_run REASON: this machine lacks what the row needs.
cannot_run() {
	printf '%s\n' "$*" >"$WORK/$ROW/skip"
	exit 0
}

# count PASSED FAILED LEFT-OUT: adds to this row's count of test cases.
count() {
	printf '%d %d %d\n' "$@" >>"$WORK/$ROW/count"
}

# note TEXT: something that the table has to say of the row, besides figures.
note() {
	[[ -z $1 ]] || printf '%s\n' "$1" >>"$WORK/$ROW/note"
}

kill_rows() {
	local row

	for row in $(jobs -rp); do
		kill -TERM -- "-$row" 2>/dev/null || true
	done
	wait
}

# run_row NAME FUNCTION-AND-ARGUMENTS
run_row() {
	local log=$WORK/$1/log status begun=$SECONDS result p f s
	local passed=0 failed=0 left=0
	local -a call

	ROW=$1
	read -ra call <<<"$2"
	mkdir -p "$WORK/$ROW"
	rm -f -- "$WORK/$ROW"/{count,total,result,skip,skipped,version}
	rm -f -- "$WORK/$ROW"/{compiler,note,ways,failed}
	printf '%s|%s\n' "$(date -u +%F)" "$(sources)" >"$WORK/$ROW/of"
	printf 'running %s\n' "$ROW"
	set +e
	(
		set -e
		"row_${call[0]}" "${call[@]:1}"
	) >"$log" 2>&1 </dev/null
	status=$?
	set -e

	if [[ -f $WORK/$ROW/skip ]]; then
		printf 'not run here: %s\n' "$(<"$WORK/$ROW/skip")" \
			>"$WORK/$ROW/result"
		return
	fi
	if [[ -f $WORK/$ROW/count ]]; then
		while read -r p f s; do
			((passed += p, failed += f, left += s)) || true
		done <"$WORK/$ROW/count"
	fi
	((status == 0 && passed || failed)) || failed=1
	printf '%d %d %d\n' "$passed" "$failed" "$left" >"$WORK/$ROW/total"
	result="$passed passed, $failed failed"
	((!left)) || result+=", $left left out"
	printf '%s (%s s)\n' "$result" "$((SECONDS - begun))" \
		>"$WORK/$ROW/result"
	if ((failed)); then
		printf -- '--- the end of %s:\n' "$log"
		tail -n 25 "$log" | sed 's/^/    /'
		named_failures "$log" >"$WORK/$ROW/failed"
	fi
}

# The state of the sources, as git calls it.  The table is none of them.
sources() {
	local state dirty=''

	state=$(git -C "$TOP" describe --always --exclude='*' 2>/dev/null) || {
		printf 'unknown\n'
		return
	}
	git -C "$TOP" diff --quiet HEAD -- . ':!READMEs' || dirty=-dirty
	printf '%s\n' "$state$dirty"
}

# run_rows LINE...: of ROWS, with the longest first
run_rows() {
	local first now line row call

	trap 'kill_rows; exit 1' INT TERM
	for first in 1 ''; do
		for line; do
			IFS='|' read -r row call _ <<<"$line"
			[[ $call == bare* ]] && now=1 || now=
			[[ $now == "$first" ]] || continue
			while (($(jobs -rp | wc -l) >= at_once)); do
				wait -n || true
			done
			is_selected "$row"	# for its ways
			# in a process group of its own
			set -m
			run_row "$row" "$call" &
			set +m
		done
	done
	wait
	trap - INT TERM
}
