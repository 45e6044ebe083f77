# shellcheck shell=bash
#
# What scripts/test leaves behind for scripts/release: build/tested, which commit
# was tested, how, and the closing line.  Only where that is known: a whole run, of
# a tree that is that commit from the beginning to the end.  To be sourced after
# lib.sh.
#
# SPDX-License-Identifier: MIT

RECORD=$TOP/build/tested

# the commit that the tree is, or nothing if it is none: it has changes, say
commit_of_tree() {
	local changes

	changes=$(git -C "$TOP" status --porcelain 2>/dev/null) || return 0
	[[ $changes ]] || git -C "$TOP" rev-parse HEAD
}

# record_begin HOW: it is being tested, as ci, long or short
record_begin() {
	rm -f -- "$RECORD"
	recorded_how=$1
	recorded_commit=$(commit_of_tree)
	[[ ! $recorded_commit ]] || trap record_end EXIT
}

# at the end, however that comes
record_end() {
	[[ $(commit_of_tree) == "$recorded_commit" ]] || return 0
	# shellcheck disable=SC2154 # of run-stages.sh
	printf '%s\n' "commit $recorded_commit" "how $recorded_how" \
		"result $all_passed passed, $all_failed failed, $all_left skipped" \
		>"$RECORD"
}

# why_not_tested COMMIT: why the record does not say that --ci, or --long, passed
# on it; or nothing
why_not_tested() {
	local commit how result

	if [[ ! -f $RECORD ]]; then
		printf 'there is no record of a test: run scripts/test --ci\n'
		return
	fi
	commit=$(sed -n 's/^commit //p' "$RECORD")
	how=$(sed -n 's/^how //p' "$RECORD")
	result=$(sed -n 's/^result //p' "$RECORD")
	if [[ $commit != "$1" ]]; then
		printf 'what was tested is %s: run scripts/test --ci\n' \
			"${commit:-unknown}"
	elif [[ $how != ci && $how != long ]]; then
		printf 'the test was not by --ci: run scripts/test --ci\n'
	elif [[ ! $result =~ ^[1-9][0-9]*\ passed,\ 0\ failed,\ [0-9]+\ skipped$ ]]
	then
		printf 'the test did not pass: %s\n' "${result:-unknown}"
	fi
}
