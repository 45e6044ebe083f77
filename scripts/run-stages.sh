# shellcheck shell=bash
#
# For scripts/test: runs a stage after the other, each for a time that is limited,
# shows a line of each, and what failed; and at the end once more what failed or
# was not run, where it is looked for first.  To be sourced.
#
# SPDX-License-Identifier: MIT

# Seconds after which a stage has failed; none by --long.
LIMIT=1200
declare -A LIMITS=([matrix]=2100)
# And after which all of --ci has: CI would cut it off without a word.
LIMIT_CI=4800

stages=0
at=0
all_passed=0
all_failed=0
all_left=0
all_named=
not_run=
declare -A left_out=()
stage_pid=

# seconds_for NAME: how long the stage may take, 0 for ever
seconds_for() {
	local seconds=${LIMITS[$1]-$LIMIT} left=$((LIMIT_CI - SECONDS))

	if [[ ${LWSTP_TEST_LONG-} ]]; then
		seconds=0
	elif [[ ${LWSTP_TEST_CI-} ]] && ((left < seconds)); then
		((seconds = left > 1 ? left : 1))
	fi
	printf '%d\n' "$seconds"
}

# stage NAME: its check, in a process group of its own, which is ended with it
stage() {
	local -a call
	local seconds begun=$SECONDS status=0

	seconds=$(seconds_for "$1")
	read -ra call <<<"${CHECKS[$1]-$1}"
	set -m
	timeout -k 30 "$seconds" "test-apps/${call[0]}/check" "${call[@]:1}" &
	stage_pid=$!
	set +m
	wait "$stage_pid" || status=$?
	stage_pid=
	((!status || !seconds || SECONDS - begun < seconds)) || printf '%s\n' \
		"FAILED: it did not end in $seconds seconds, and was ended"

	return "$status"
}

# processor_time: sets that, in seconds, of all that we have waited for
processor_time() {
	times >"$WORK/times.now"
	processor_time=$(awk -F '[ms ]' 'NR == 2 {
		printf "%d\n", $1 * 60 + $2 + $4 * 60 + $5 }' "$WORK/times.now")
}

# What ends us ends the stage.
end_early() {
	[[ ! $stage_pid ]] || kill -TERM -- "-$stage_pid" 2>/dev/null || true
	printf '\nended by a signal, in the stage %s\n' "$STAGE"
	((++all_failed))
	say_all
	exit 1
}

# read_counts: of the stage, into passed, failed and left
read_counts() {
	local p f what

	if [[ -f $WORK/$STAGE.count ]]; then
		while read -r p f; do
			((passed += p, failed += f)) || true
		done <"$WORK/$STAGE.count"
	elif (($1 == 0)); then
		passed=1
	fi
	(($1 == 0 || failed)) || failed=1
	(($1 != 0 || passed)) || failed=1
	[[ -f $WORK/$STAGE.left ]] || return 0
	while read -r p what; do
		((left += p))
		left_out[$what]+=", $STAGE"
	done <"$WORK/$STAGE.left"
}

# run_stage NAME: one line, and its cases added to all_passed, all_failed and
# all_left.
run_stage() {
	local log=$WORK/$1.log begun=$SECONDS status=0 passed=0 failed=0 left=0
	local what had

	STAGE=$1
	processor_time
	had=$processor_time
	rm -f -- "$WORK/$STAGE".{count,skip,left,notes}
	printf '[%2d/%d] %-15s ' "$((++at))" "$stages" "$STAGE"
	stage "$STAGE" >"$log" 2>&1 </dev/null || status=$?

	if [[ -f $WORK/$STAGE.skip ]]; then
		cat "$WORK/$STAGE.skip"
		what=$(<"$WORK/$STAGE.skip")
		not_run+="not run: $STAGE: ${what#not run: }"$'\n'
		((++all_left))
		return
	fi
	processor_time
	printf '%s %d %d\n' "$STAGE" "$((SECONDS - begun))" \
		"$((processor_time - had))" >>"$WORK/times"
	read_counts "$status"
	printf '%5d passed %3d failed %5d s\n' "$passed" "$failed" \
		"$((SECONDS - begun))"
	note_not_ours "$log" >/dev/null
	[[ ! -f $WORK/$STAGE.notes ]] ||
		awk '!seen[$0]++' "$WORK/$STAGE.notes" | fold -s -w 75 |
			sed 's/^/    /; s/ *$//'
	((!left)) || printf '    %d left out\n' "$left"
	((!failed)) || show_failed "$log"
	((all_passed += passed, all_failed += failed, all_left += left)) || true
}

# show_failed LOG
show_failed() {
	printf -- '--- what failed, from build/test/%s.log:\n' "$STAGE"
	failure_of "$1"
	printf -- '---\n'
	all_named+="$STAGE: $failed failed"$'\n'
	all_named+=$(named_failures "$1")$'\n'
}

# say_all: the closing lines
say_all() {
	local what

	printf '\n'
	for what in "${!left_out[@]}"; do
		printf 'left out of %s: %s\n' "${left_out[$what]#, }" "$what" |
			fold -s -w 78 | sed 's/ *$//; 2,$s/^/    /'
	done
	printf '%s%s' "$not_run" "$all_named"
	[[ $only || ! ${not_asked_for[*]} ]] ||
		printf '%s: %s\n' "${LWSTP_TEST_BRIEF:+in brief not, and }for --ci alone" \
			"${not_asked_for[*]}"
	printf 'all in %d min %d s\n' "$((SECONDS / 60))" "$((SECONDS % 60))"
	printf '%d passed, %d failed, %d skipped\n' "$all_passed" "$all_failed" \
		"$all_left"
}

# run_stages NAME...: false if one failed
run_stages() {
	local name

	stages=$#
	: >"$WORK/times"
	trap end_early INT TERM
	for name; do
		run_stage "$name"
	done
	trap - INT TERM
	# Nothing tried is nothing proved.
	((all_passed || all_failed)) || all_failed=1
	say_all
	((!all_failed))
}
