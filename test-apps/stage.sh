# shellcheck shell=bash
#
# What the stages of scripts/test share: to fail, to count cases, to leave some
# out, to build a tree, to wait.  Sourced by scripts/test and by each check in a
# folder of test-apps, which is a stage, or several of them by its argument, and
# can be run by hand: test-apps/FOLDER/check.  servers.sh has more, for what tries
# a server.
#
# SPDX-License-Identifier: MIT

# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../scripts/lib.sh"

# Where the trees, the logs and the counts are, and the name of the stage.
WORK=$TOP/build/test
STAGE=${STAGE-$(basename -- "$(dirname -- "$0")")}
[[ ${0##*/} != check ]] || mkdir -p -- "$WORK"

fail() {
	printf 'FAILED: %s\n' "$*"
	exit 1
}

# cannot_run REASON: this machine lacks what the stage needs, and no package
# gives it.  The stage counts as left out.
cannot_run() {
	printf 'not run: %s\n' "$*" | tee "$WORK/$STAGE.skip"
	exit 0
}

# says TEXT COMMAND [ARGUMENT...]: it fails, saying so
says() {
	local out

	out=$("${@:2}" 2>&1 </dev/null) && fail "${*:2}: succeeds"
	printf '%s\n' "$out"
	[[ $out == *"$1"* ]] || fail "${*:2}: does not say: $1"
}

# count PASSED FAILED: adds to this stage's count of test cases.
count() {
	printf '%d %d\n' "$1" "$2" >>"$WORK/$STAGE.count"
}

# leave_out NUMBER WHAT...: so many test cases were not run, which are named
leave_out() {
	((!$1)) || printf '%d %s\n' "$1" "${*:2}" >>"$WORK/$STAGE.left"
}

# note WHAT...: a line below the stage's own
note() {
	printf '%s\n' "$*" | tee -a "$WORK/$STAGE.notes"
}

# note_not_ours LOG: what a program says of faults that are lws's or a tool's,
# and what TSan was told to overlook
note_not_ours() {
	local text suppressed

	while IFS= read -r text; do
		note "$text"
	done < <(sed -n 's/.*\(not ours: .*\)/\1/p' "$1" | sort -u)
	suppressed=$(awk '$2 ~ /^race(_top)?:/ && $1 + 0 { n += $1 }
		END { print n + 0 }' "$1")
	((!suppressed)) || note "not ours: libwebsockets puts its log lines" \
		"together in one static buffer, $suppressed races suppressed"
}

# The stage's build tree, configured with the arguments and built.
build_tree() {
	configure "$WORK/$STAGE" "$@"
	build "$WORK/$STAGE"
}

# A port of 127.0.0.1 that nobody listens on.
free_port() {
	local port

	while :; do
		port=$((RANDOM % 12000 + 20000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	printf '%d\n' "$port"
}

PATIENCE=120	# seconds that a loaded machine may take for anything

# wait_until [SECONDS] COMMAND...: until the command succeeds.
wait_until() {
	local limit=$PATIENCE

	[[ ! $1 =~ ^[0-9]+$ ]] || {
		limit=$1
		shift
	}
	((limit += SECONDS))
	until "$@"; do
		((SECONDS < limit)) || return 1
		sleep 0.05
	done
}

# each_of COMMAND WORD...: COMMAND WORD for each of them, JOBS at a time
each_of() {
	local word

	rm -f -- "$WORK/$STAGE.bad"
	for word in "${@:2}"; do
		while (($(jobs -rp | wc -l) >= JOBS)); do
			wait -n || true
		done
		{ "$1" "$word" || touch "$WORK/$STAGE.bad"; } &
	done
	wait
	[[ ! -e $WORK/$STAGE.bad ]] || fail "$1"
}

sanitizer_options() {
	export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1
	export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
	export LSAN_OPTIONS=report_objects=1
	export TSAN_OPTIONS=second_deadlock_stack=1:halt_on_error=0:exitcode=66
	TSAN_OPTIONS+=:print_suppressions=1
}

# Of what lws itself does, for whoever lets it log from several threads.
suppress_lws() {
	TSAN_OPTIONS+=":suppressions=$TOP/test-apps/soak/tsan.supp"
}

as_tsan_needs() {
	sanitized_runs thread "$WORK/tsan-probe" ||
		fail "TSan does not run on this machine"
}

# Trees that stages share, each of which builds there what it needs, beside what
# is there already.

# whole_tree gcc|clang TARGET...: by that compiler; sets TREE
whole_tree() {
	TREE=$WORK/$1
	configure "$TREE" -DCMAKE_C_COMPILER="$1" -DLWSTP_WERROR=ON \
		-DLWSTP_BENCH=ON
	build_these "${@:2}"
}

# sanitized_tree asan|tsan TARGET...: with these sanitizers; sets TREE, and what
# programs of it are begun with
sanitized_tree() {
	local what=address,undefined

	[[ $1 == asan ]] || what=thread
	TREE=$WORK/$1
	configure "$TREE" -DLWSTP_SANITIZE="$what" \
		-DCMAKE_C_FLAGS_RELWITHDEBINFO='-O1 -g1 -DNDEBUG'
	build_these "${@:2}"
	sanitizer_options
	[[ $1 == asan ]] || as_tsan_needs
}

# build_these TARGET...: in TREE; one with a / is a folder, for all that is in it
build_these() {
	local target

	for target; do
		if [[ $target == */* ]]; then
			make --no-print-directory -C "$TREE/$target" -j "$JOBS"
		else
			build "$TREE" --target "$target"
		fi
	done
}

# if_long LONG SHORT [SHORTER [SHORTEST]]: one of them, by --long, by --ci,
# without, and where the whole script is only one of the tests of another run.
if_long() {
	if [[ ${LWSTP_TEST_LONG-} ]]; then
		printf '%s\n' "$1"
	elif [[ ${LWSTP_TEST_CI-} ]]; then
		printf '%s\n' "$2"
	elif [[ ${LWSTP_TEST_BRIEF-} ]]; then
		printf '%s\n' "${4-${3-$2}}"
	else
		printf '%s\n' "${3-$2}"
	fi
}

# install_as NAME [CMAKE-ARGUMENT...]: configured for one prefix, installed into
# a second, and moved to $place/NAME after that: $place is the caller's.
install_as() {
	local name=$1

	shift
	configure "$WORK/$STAGE/$name" -DCMAKE_INSTALL_PREFIX=/usr/local \
		-DCMAKE_INSTALL_LIBDIR=lib -DLWSTP_TESTS=OFF \
		-DLWSTP_CLIENT=OFF -DLWSTP_EXAMPLES=OFF "$@"
	build "$WORK/$STAGE/$name"
	# shellcheck disable=SC2154 # the caller's
	cmake --install "$WORK/$STAGE/$name" --prefix "$place/first-$name"
	mv "$place/first-$name" "$place/$name"
}
