# shellcheck shell=bash
#
# For scripts/test-matrix: what is tried in a row, the unit tests, and the example with
# its client.  To be sourced.
#
# SPDX-License-Identifier: MIT

# the variables of scripts/test-matrix
# shellcheck disable=SC2153,SC2034

COMPILER=gcc
EMULATOR=()
TRY_OPTIONS=()
TREE_HERE=	# where it is built already, as the row would
EXAMPLE=lws-minimal-ws-server-threadpool
CLIENT=lws-threadpool-ws-client
PATIENCE=120	# seconds for the example to come up, or to end

# use_cross TRIPLET: whatever CMake is asked to build from now on is for that
# machine, and whatever it runs is run by qemu, which takes its time.
use_cross() {
	local machine=${1%%-*} emulator file=$WORK/$1.cmake

	emulator=qemu-$machine-static
	cat >"$file" <<-END
		set(CMAKE_SYSTEM_NAME Linux)
		set(CMAKE_SYSTEM_PROCESSOR $machine)
		set(CMAKE_C_COMPILER $1-gcc)
		set(CMAKE_CROSSCOMPILING_EMULATOR $emulator)
	END
	export CMAKE_TOOLCHAIN_FILE=$file
	export PKG_CONFIG_LIBDIR=/usr/lib/$1/pkgconfig:/usr/share/pkgconfig
	export LWSTP_UNIT_DEADLINE=600
	NEEDS=(make:make cmake:cmake pkg-config:pkg-config uthash-dev
		"gcc-$1:$1-gcc" "qemu-user-static:$emulator")
	COMPILER=$1-gcc
	EMULATOR=("$emulator")
	TRY_OPTIONS=(-DLWSTP_UNIT_TIMEOUT=1200)
}

# versions TREE: what it was configured with
versions() {
	pkg-config --modversion libwebsockets | sed 's/-.*//' \
		>"$WORK/$ROW/version"
	sed -n 's/^set(CMAKE_C_COMPILER_\(ID\|VERSION\) "\(.*\)")/\2/p' \
		"$1"/CMakeFiles/*/CMakeCCompiler.cmake | paste -sd ' ' |
		sed 's/^GNU/gcc/; s/^Clang/clang/' >"$WORK/$ROW/compiler"
}

program() {
	find "${TREE_HERE:-$WORK/$ROW/tree}" -type f -name "$1" -perm -u+x
}

run_tests() {
	local tree=$1 counts
	local log=$tree/Testing/Temporary/LastTest.log

	export ASAN_OPTIONS=detect_leaks=1
	export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
	export LSAN_OPTIONS=report_objects=1 TSAN_OPTIONS=exitcode=66
	rm -f -- "$log"
	# they wait more than they compute
	(cd "$tree" && "${AS_IS[@]}" ctest -L unit -j $((3 * JOBS)) \
		--timeout 600 \
		--no-tests=error --output-on-failure \
		--test-output-size-passed 100000000 \
		--test-output-size-failed 100000000) || true
	[[ -f $log ]] || fail "ctest left no log"
	counts=$(count_cmocka "$log")
	printf 'passed, failed, left out: %s\n' "$counts"
	sed -n 's/^\[  SKIPPED \] \([A-Za-z]\w*\)$/\1/p' "$log" |
		sort -u >"$WORK/$ROW/skipped"
	# shellcheck disable=SC2086 # three numbers
	count $counts
}

# run_check COMMAND...: one that prints a line "ok WHAT" or "not ok WHAT" for each
# case, and "all run" at the end.
run_check() {
	local log=$WORK/$ROW/check.log

	"$@" >"$log" 2>&1 || true
	cat "$log"
	count "$(grep -c '^ok ' "$log" || true)" \
		"$(grep -c '^not ok ' "$log" || true)" 0
	grep -q '^all run$' "$log" || count 0 1 0
}

# The example serves eight streams of the client, and ends when it is told to.
run_example() {
	local limit=$((SECONDS + PATIENCE)) port='' server status=0
	local log=$WORK/$ROW/server.log

	: >"$log"	# no port of an earlier run
	"${AS_IS[@]}" "${EMULATOR[@]}" "$(program "$EXAMPLE")" -p 0 -t 2 \
		>>"$log" 2>&1 &
	server=$!
	while [[ -z $port ]] && kill -0 "$server" && ((SECONDS < limit)); do
		sleep 0.1
		port=$(sed -n 's|.*http://.*:\([0-9]*\) with.*|\1|p' "$log" |
			head -n 1)
	done
	if [[ -z $port ]]; then
		status=1
	else
		"${EMULATOR[@]}" "$(program "$CLIENT")" -s 127.0.0.1 \
			-p "$port" -n 8 -T 300 || status=1
	fi
	kill -INT "$server" || status=1
	limit=$((SECONDS + PATIENCE))
	while kill -0 "$server" 2>/dev/null && ((SECONDS < limit)); do
		sleep 0.1
	done
	kill -KILL "$server" 2>/dev/null || true
	wait "$server" || status=1
	cat "$log"
	count "$((!status))" "$status" 0
}

# try [CMAKE-OPTION...]: the tree as configured, with the row's prefix if there
# is one: every test of it, and the example.
try() {
	local prefix=$WORK/$ROW/prefix dir
	local tree=${TREE_HERE:-$WORK/$ROW/tree}

	[[ ! -d $prefix ]] || export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
	configure "$tree" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
		"${TRY_OPTIONS[@]}" "$@"
	versions "$tree"
	for dir in minimal-examples test-apps/{ws-client,unit,smp}; do
		make -C "$tree/$dir" -j "$JOBS"
	done
	if [[ -d $prefix ]]; then
		LD_TRACE_LOADED_OBJECTS=1 "${EMULATOR[@]}" \
			"$(program "$EXAMPLE")" | grep -F "$prefix/lib" ||
			fail "not linked with the libwebsockets of the prefix"
	fi
	run_tests "$tree"
	run_example
}
