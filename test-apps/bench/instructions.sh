# shellcheck shell=bash
#
# Instructions that scripts/bench counts by callgrind.  To be sourced, not run.
#
# SPDX-License-Identifier: MIT

COUNTS=$TOP/test-apps/bench/instructions.txt

# callgrind NAME OPTION...: all instructions, and those in our library.
callgrind() {
	local file=$DATA/callgrind.$1

	shift
	valgrind -q --tool=callgrind --callgrind-out-file="$file" \
		"$BIN/bench" instructions -f 1024 "$@" >"$file.log" 2>&1 || {
		cat "$file.log" >&2
		die "callgrind failed"
	}
	sed -n 's/^summary: //p' "$file"
	callgrind_annotate --threshold=100 "$file" |
		awk '/liblws-threadpool/ { gsub(",", "", $1); n += $1 }
			END { print n }'
}

# least NAME OPTION...: the same, the least of five runs each.  What is more
# comes of threads that met at a lock.
least() {
	local n

	for n in 1 2 3 4 5; do
		callgrind "$@" | paste -s
	done | awk '
		NR == 1 || $1 < all { all = $1 }
		NR == 1 || $2 < ours { ours = $2 }
		END { print all, ours }'
}

# per NAME COUNT OPTION LESS MORE: what one of COUNT things takes; LESS and MORE
# of the option differ by those.
per() {
	local name=$1 n=$2 option=$3 less=$4 more=$5
	local -a from to

	read -ra from < <(least "$name-less" -m "$name" "$option" "$less")
	read -ra to < <(least "$name-more" -m "$name" "$option" "$more")
	printf '%s-all %d\n' "$name" "$(((to[0] - from[0]) / n))"
	printf '%s-ours %d\n' "$name" "$(((to[1] - from[1]) / n))"
}

count_instructions() {
	per noop 10000 -n 1000 11000
	per sync 10000 -k 10 110
}

write_instructions() {
	{
		cat <<-END
		# Instructions for the life of a task that does nothing, and for
		# a SYNC of one of 100 streams: all that the process executes,
		# and those in our library.  scripts/bench --write-instructions
		# writes this file, --check-instructions compares with it.
		END
		count_instructions
	} >"$DATA/instructions.txt"
	cp "$DATA/instructions.txt" "$COUNTS"
	cat "$COUNTS"
}

check_instructions() {
	[[ -f $COUNTS ]] || die "no test-apps/bench/instructions.txt"
	count_instructions >"$DATA/instructions.txt"
	awk '
	/^#/ { next }
	FNR == NR { then[$1] = $2; next }
	{
		bad = !($1 in then) || $2 > then[$1] * 1.05
		printf "%-12s %6d now, %6d in the file%s\n", $1, $2, then[$1],
			bad ? ": MORE THAN 5 % UP" : ""
		failed += bad
		n++
	}
	END { exit failed || n != 4 }' "$COUNTS" "$DATA/instructions.txt"
}

