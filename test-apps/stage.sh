# shellcheck shell=bash
#
# What the stages of scripts/test share: to fail, to count cases, to leave some
# out, to build a tree, to wait.  Sourced by scripts/test and by each check in a
# folder of test-apps, which is a stage of the folder's name and can be run by
# hand: test-apps/FOLDER/check.
#
# SPDX-License-Identifier: MIT

# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../scripts/lib.sh"

# Where the trees, the logs and the counts are, and the name of the stage.
WORK=$TOP/build/test
STAGE=${STAGE-$(basename -- "$(dirname -- "$0")")}

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

# wait_until SECONDS COMMAND...: until the command succeeds.
wait_until() {
	local limit=$((SECONDS + $1))

	shift
	until "$@"; do
		((SECONDS < limit)) || return 1
		sleep 0.1
	done
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

# The whole tree as clang builds it, which the stages below share.
whole_tree() {
	WHOLE=$WORK/warnings-clang
	configure "$WHOLE" -DCMAKE_C_COMPILER=clang -DLWSTP_WERROR=ON \
		-DLWSTP_BENCH=ON
	build "$WHOLE"
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
	cmake --install "$WORK/$STAGE/$name" --prefix "$place/first"
	mv "$place/first" "$place/$name"
}
