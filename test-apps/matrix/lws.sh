# shellcheck shell=bash
#
# For scripts/test-matrix: the source of a libwebsockets, and one built from it, as it
# is or with us compiled in.  To be sourced.
#
# SPDX-License-Identifier: MIT

# the variables of scripts/test-matrix
# shellcheck disable=SC2153,SC2034

# lws_tree VERSION: the tree that the user named and that is of that version.
lws_tree() {
	local tree found

	for tree in "${TREES[@]}"; do
		found=$(sed -n 's/^set(CPACK_PACKAGE_VERSION_[A-Z_]* "\([0-9]*\).*/\1/p' \
			"$tree/CMakeLists.txt" | head -n 3 | paste -sd .)
		[[ $found != "$1" ]] || {
			printf '%s\n' "$tree"
			return
		}
	done
}

# need_tree VERSION: sets TREE, or the row cannot run.
need_tree() {
	TREE=$(lws_tree "$1")
	[[ -n $TREE ]] || cannot_run "name a $1 source tree with --lws"
}

# need_source: sets TREE to the source of this system's libwebsockets-dev.
need_source() {
	command -v dpkg-source >/dev/null ||
		cannot_run "dpkg-source is missing: install dpkg-dev"
	# of another row, perhaps, that is about to fetch it
	exec 9>"$WORK/source.lock"
	flock 9
	need_lws_source "$WORK/source" ||
		cannot_run "no source of this system's libwebsockets from apt"
	exec 9>&-
	TREE=$SOURCE
	note "$SOURCE_NOTE"
}

# What libwebsockets is configured with: HTTP/3 wants another TLS library than
# the other versions use.
lws_options() {
	printf '%s\n' -DLWS_WITH_HTTP3=OFF -DLWS_ROLE_QUIC=OFF "$@"
}

# as_before STAMP: what was built with it is still there.  Else begins anew.
as_before() {
	[[ -f $WORK/$ROW/stamp && $(<"$WORK/$ROW/stamp") == "$1" ]] && return
	rm -rf -- "$WORK/$ROW"/{stamp,prefix,lws}
	return 1
}

# make_stock CMAKE-OPTION...: $TREE as it is, in the row's prefix.
make_stock() {
	local build=$WORK/$ROW/lws/build
	local -a options

	mapfile -t options <<<"$(lws_options "$@")"
	! as_before "$TREE ${options[*]}" || return 0
	cmake -S "$TREE" -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
		-DCMAKE_INSTALL_PREFIX="$WORK/$ROW/prefix" \
		-DCMAKE_POLICY_VERSION_MINIMUM=3.5 \
		-DDISABLE_WERROR=ON -DLWS_WITH_STATIC=OFF \
		-DLWS_WITHOUT_TESTAPPS=ON -DLWS_WITH_MINIMAL_EXAMPLES=OFF \
		"${options[@]}"
	cmake --build "$build" -j "$JOBS"
	cmake --install "$build"
	printf '%s\n' "$TREE ${options[*]}" >"$WORK/$ROW/stamp"
}

# make_into CMAKE-OPTION...: $TREE with us in it, in the row's prefix.
make_into() {
	local sources
	local -a options

	mapfile -t options <<<"$(lws_options "$@")"
	sources=$(cat lib/*.[ch] include/*.h {scripts,cmake}/build-into-lws* | cksum)
	! as_before "$TREE ${options[*]} $sources" || return 0
	# for one row as somebody would who scripts it by CMake
	if [[ $ROW == into-debian ]]; then
		cmake -DLWS_SOURCE_TREE="$TREE" -DPREFIX="$WORK/$ROW/prefix" \
			-DKEEP_BUILD="$WORK/$ROW/lws" -DJOBS="$JOBS" \
			"${options[@]}" -P cmake/build-into-lws.cmake
	else
		KEEP_BUILD=$WORK/$ROW/lws JOBS=$JOBS scripts/build-into-lws \
			"$TREE" "$WORK/$ROW/prefix" "${options[@]}"
	fi
	printf '%s\n' "$TREE ${options[*]} $sources" >"$WORK/$ROW/stamp"
}
