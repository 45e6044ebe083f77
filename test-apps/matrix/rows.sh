# shellcheck shell=bash
#
# For scripts/test-matrix: the rows on this system.  To be sourced.
#
# SPDX-License-Identifier: MIT

# the variables of scripts/test-matrix
# shellcheck disable=SC2153,SC2034

row_companion() {
	local compiler=${1:-gcc}

	command -v "$compiler" >/dev/null || cannot_run "$compiler is missing"
	try -DCMAKE_C_COMPILER="$compiler" \
		-DCMAKE_BUILD_TYPE="${2:-RelWithDebInfo}"
}

# sanitize SANITIZERS: the tree that is tried
sanitize() {
	sanitized_runs "$1" "$WORK/$ROW/probe" ||
		cannot_run "-fsanitize=$1 does not run here"
	TRY_OPTIONS+=("-DLWSTP_SANITIZE=$1")
}

row_sanitized() {
	sanitize "$1"
	try
}

row_evlib() {
	find /usr/lib -name "libwebsockets-evlib_$1.so" | grep -q . ||
		cannot_run "install libwebsockets-evlib-$1"
	export LWSTP_UNIT_EVLIB=$1
	TREE_HERE=${LWSTP_TEST_TREE-}
	try
}

# try_structure CMAKE-OPTION...: the order of the files of lib/ in $TREE
try_structure() {
	local -a options

	mapfile -t options <<<"$(lws_options "$@")"
	if test-apps/structure/check --work "$WORK/$ROW/structure" \
		--lws "$TREE" "${options[@]}"; then
		count 1 0 0
	else
		count 0 1 0
	fi
}

# row_built WAY VERSION [CMAKE-OPTION...]: stock or into, and which libwebsockets,
# "here" for this system's source; its options
row_built() {
	if [[ $2 == here ]]; then need_source; else need_tree "$2"; fi
	"make_$1" "${@:3}"
	if [[ $1 == into ]]; then
		try_structure "${@:3}"
		try -DLWSTP_IN_LWS=ON
	else
		try
	fi
}

# the same, where the storm of several service threads must not leave itself out
row_smp() {
	export LWSTP_SMP_MUST_RUN=1
	row_built "$@" -DLWS_MAX_SMP=8
}

# the same with ASan in libwebsockets too, and with TSan in the tree alone: what
# several threads do in libwebsockets is its own
row_asan() {
	sanitize address,undefined
	row_built "$@" -DCMAKE_C_FLAGS=-fsanitize=address
}

row_tsan() {
	sanitize thread
	row_built "$@"
}

# Here is what both ways at once do, too: the companion made for it.
row_into_debian() {
	local companion=$WORK/$ROW/companion

	row_built into here
	configure "$companion" -DLWSTP_TESTS=OFF -DLWSTP_CLIENT=OFF \
		-DLWSTP_EXAMPLES=OFF
	build "$companion"
	run_check test-apps/embed/both "$WORK/$ROW/prefix" "$companion" \
		"$COMPILER" "${EMULATOR[@]}"
}

# Another libc, for which nothing is packaged here: libwebsockets is built for it
# with nothing but the kernel's headers beside its own.  Instead of the unit tests,
# which have no cmocka there, the example, and a program that opens our library.
row_musl() {
	local dir=$WORK/$ROW tree=$WORK/$ROW/tree
	local -a options

	command -v musl-gcc >/dev/null || cannot_run "install musl-tools"
	need_source
	mkdir -p "$dir/kernel"
	ln -sfn /usr/include/{linux,asm-generic} "$dir/kernel/"
	ln -sfn "/usr/include/$(gcc -print-multiarch)/asm" "$dir/kernel/asm"
	options=(-DCMAKE_C_COMPILER=musl-gcc
		"-DCMAKE_C_FLAGS=-isystem $dir/kernel")
	make_stock -DLWS_WITH_SSL=OFF "${options[@]}"

	# what examples need beside lws is not there for musl
	export PKG_CONFIG_LIBDIR=$dir/prefix/lib/pkgconfig
	configure "$tree" "${options[@]}" -DLWSTP_TESTS=OFF -DLWSTP_WERROR=ON
	versions "$tree"
	printf 'musl-gcc, %s\n' "$(<"$dir/compiler")" >"$dir/compiler"
	build "$tree"
	musl-gcc -std=c11 -D_GNU_SOURCE -isystem "$dir/kernel" \
		-I"$dir/prefix/include" test-apps/embed/opened.c \
		-o "$dir/opened" -L"$dir/prefix/lib" -lwebsockets \
		-Wl,-rpath,"$dir/prefix/lib"
	readelf -d "$dir/opened" "$tree/liblws-threadpool.so" |
		awk '/NEEDED/ && /libc[.]so\]/ { musl++ } /libc[.]so[.]6/ { glibc++ }
		END { exit musl != 2 || glibc }' || fail "not linked with musl"
	run_example
	"$dir/opened" "$tree/liblws-threadpool.so" ||
		fail "the program that opens the library"
	count 1 0 0
}

# The h2 client is another project's; the certificate is made for the run.
row_roles() {
	local tool

	for tool in h2load:nghttp2-client openssl:openssl curl:curl; do
		command -v "${tool%%:*}" >/dev/null ||
			cannot_run "${tool%%:*} is missing: install ${tool#*:}"
	done
	configure "$WORK/$ROW/tree"
	versions "$WORK/$ROW/tree"
	make -C "$WORK/$ROW/tree/test-apps/roles" -j "$JOBS"
	run_check test-apps/roles/check "$(program lws-threadpool-roles)" \
		"$(program lws-threadpool-roles-ws)"
}
