# shellcheck shell=bash
#
# For scripts/test-matrix: the table, as it is shown, and as it is written into
# READMEs/README.portability.md.  To be sourced.
#
# SPDX-License-Identifier: MIT

# of_row NAME FILE: what it says, nothing if there is none
of_row() {
	cat "$WORK/$1/$2" 2>/dev/null || true
}

# print_row NAME WHAT
print_row() {
	local way figures

	printf '%-18s | %-50s | %-6s | %-12s | %s\n' "$1" "$2" \
		"$(of_row "$1" version)" "$(of_row "$1" compiler)" \
		"$(of_row "$1" result)"
	[[ ! -f $WORK/$1/skip ]] || return 0
	while IFS='|' read -r way figures; do
		# shellcheck disable=SC2086 # three numbers
		printf '%21s^ %s: %d passed, %d failed, %d left out\n' '' \
			"$way" $figures
	done < <(of_row "$1" ways)
	of_row "$1" note | sed 's/^/                     ^ /'
	of_row "$1" failed
}

# written_row NAME WHAT: a line of the table, or one for each of both ways
written_row() {
	local way figures

	if [[ -f $WORK/$1/ways ]]; then
		cat "$WORK/$1/ways"
	else
		printf '|%s\n' "$(of_row "$1" total)"
	fi | while IFS='|' read -r way figures; do
		# shellcheck disable=SC2086 # three numbers
		printf '| %s | %s | %s | %s | %d | %d | %d |\n' "$1" \
			"${2/both ways/$way}" "$(of_row "$1" version)" \
			"$(of_row "$1" compiler)" $figures
	done
}

# written_notes NAME: what the table has no column for
written_notes() {
	local text

	if [[ ! -f $WORK/$1/result ]]; then
		printf -- '- %s: not run\n' "$1"
	elif [[ -f $WORK/$1/skip ]]; then
		printf -- '- %s: not run here: %s\n' "$1" "$(of_row "$1" skip)"
	else
		while read -r text; do
			printf -- '- %s: %s\n' "$1" "$text"
		done < <(of_row "$1" note)
	fi
}

# written_skipped NAME: a line "TEST NAME" for each test that left itself out
written_skipped() {
	sort -u "$WORK/$1/skipped" | sed "s/$/ $1/"
}

# each_row FUNCTION [FILE]: of all rows, or those that have FILE, by FUNCTION
# NAME WHAT
each_row() {
	local row what

	while IFS='|' read -r row _ what; do
		[[ -n ${2-} && ! -f $WORK/$row/$2 ]] || "$1" "$row" "$what"
	done < <(printf '%s\n' "${ROWS[@]}")
}

of_row_of() {
	cat "$WORK/$1/of" 2>/dev/null || printf 'unknown|unknown\n'
}

# all_of FIELD: of the rows that have figures, what they are of, each once
all_of() {
	each_row of_row_of total | cut -d '|' -f "$1" | sort -u | paste -sd ' '
}

generated() {
	local states

	states=$(all_of 2)
	printf '%s, %s, %d processors; run %s  \n' \
		"$(os_release PRETTY_NAME)" "$(uname -m)" "$(nproc)" "$(all_of 1)"
	if [[ $states == *' '* ]]; then
		printf 'The rows are not of one state of the sources: %s\n' "$states"
	else
		printf 'All rows are of one state of the sources: %s\n' "$states"
	fi
	printf '\n| %s | %s | %s | %s | %s | %s | %s |\n%s\n' row what \
		libwebsockets compiler passed failed 'left out' \
		'|---|---|---|---|---|---|---|'
	each_row written_row total
	printf '\n'
	each_row written_notes
	each_row written_skipped skipped | awk '
	!($1 in rows) { names[++n] = $1 }
	{ rows[$1] = rows[$1] " " $2 }
	END {
		for (i = 1; i <= n; i++)
			print "- " names[i] " left out:" rows[names[i]]
	}'
}

write_readme() {
	generated | write_figures "$README" scripts/test-matrix "$WORK"
}
