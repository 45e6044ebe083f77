# shellcheck shell=bash
#
# What scripts/bench measures: builds the benchmark with our library, the
# library of another revision, and libwebsockets in ways that Debian does not.
# All of it is below build/bench and is used again.  To be sourced, not run.
#
# SPDX-License-Identifier: MIT

# quietly WHAT LOG COMMAND...: says that WHAT is built, and shows the end of the
# log if that fails.
quietly() {
	local what=$1 log=$WORK/$2.log

	printf 'building %s in build/bench/%s\n' "$what" "$2"
	"${@:3}" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		printf '(all of it in build/bench/%s.log)\n' "$2" >&2
		return 1
	}
}

# --- ours -------------------------------------------------------------------

# A library of ours in TREE, from the sources in TOP.
build_library() {
	configure "$1" -DLWSTP_TESTS=OFF -DLWSTP_CLIENT=OFF \
		-DLWSTP_EXAMPLES=OFF "${@:2}" && build "$1"
}

# build_ours [PREFIX]: with the benchmark; and, by the libwebsockets of PREFIX,
# that of the built-in one.
build_ours() {
	quietly 'the benchmark' tree build_library "$WORK/tree" \
		-DLWSTP_BENCH=ON -DLWSTP_BENCH_BUILTIN="${1-}" \
		-DLWSTP_CLUSTER="$(planned bench-cluster && echo ON || echo OFF)"
}

# --- a baseline: our library as it was --------------------------------------

# unpack_revision REVISION DIR: its sources, there
unpack_revision() {
	[[ ! -f $2/CMakeLists.txt ]] || return 0
	mkdir -p "$2" && git -C "$TOP" archive "$1" | tar -x -C "$2"
}

# build_baseline DIR-OR-REVISION: the library of another checkout, or of a
# revision.  False if there is no such thing.
build_baseline() {
	local sources=$WORK/baseline/sources revision

	if [[ -f $1/CMakeLists.txt ]]; then
		sources=$(cd -- "$1" && pwd)
	else
		revision=$(git -C "$TOP" rev-parse --verify -q \
			"$1^{commit}") || return 1
		sources=$WORK/baseline/$revision
		unpack_revision "$revision" "$sources" || return 1
	fi
	(TOP=$sources quietly "the library of $1" baseline \
		build_library "$WORK/baseline/tree" -DLWSTP_BENCH=OFF)
}

# The benchmark with that library.  It is the same program, so what a row does
# is the same.
check_baseline() {
	with_baseline env LD_TRACE_LOADED_OBJECTS=1 "$BIN/bench" |
		grep -F "$WORK/baseline/tree/liblws-threadpool.so" >/dev/null
}

with_baseline() {
	LD_LIBRARY_PATH=$WORK/baseline/tree "$@"
}

# --- libwebsockets ----------------------------------------------------------

# As Debian configures it, but for the options, and without the event libraries,
# which no row uses with it.
configure_lws() {
	cmake -S "$SOURCE" -B "$1/tree" -G 'Unix Makefiles' \
		-DCMAKE_BUILD_TYPE=None \
		-DCMAKE_C_FLAGS='-O2 -g -fno-strict-aliasing -w' \
		-DLWS_WITHOUT_DAEMONIZE=OFF \
		-DLWS_UNIX_SOCK=ON -DLWS_IPV6=ON -DLWS_WITH_ZLIB=ON \
		-DLWS_WITHOUT_EXTENSIONS=OFF -DLWS_WITHOUT_TESTAPPS=ON \
		-DLWS_WITH_STATIC=OFF -DCMAKE_INSTALL_PREFIX="$1/prefix" \
		-DCMAKE_INSTALL_LIBDIR=lib "${@:2}"
}

install_lws() {
	need_lws_source "$WORK/lws" &&
		configure_lws "$@" &&
		build "$1/tree" &&
		cmake --install "$1/tree"
}

# build_lws NAME WHAT OPTION...: Debian's source with these options
build_lws() {
	local dir=$WORK/$1

	[[ ! -e $dir/prefix/lib/libwebsockets.so ]] || return 0
	rm -rf -- "$dir"
	mkdir -p "$dir" "$WORK/lws"
	quietly "$2" "$1" install_lws "$dir" "${@:3}" || return 1
	[[ -z $SOURCE_NOTE ]] || printf '%s: %s\n' "$2" "$SOURCE_NOTE"
}

build_builtin() {
	build_lws builtin 'libwebsockets with its own threadpool' \
		-DLWS_WITH_THREADPOOL=1
}

# libwebsockets with two service threads, and the benchmark for it
build_smp() {
	build_lws smp 'libwebsockets with LWS_MAX_SMP=2' -DLWS_MAX_SMP=2 &&
		(export PKG_CONFIG_PATH=$WORK/smp/prefix/lib/pkgconfig
		quietly 'the benchmark for it' smp-tree \
			build_library "$WORK/smp-tree" -DLWSTP_BENCH=ON)
}
