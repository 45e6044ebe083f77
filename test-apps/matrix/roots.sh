# shellcheck shell=bash
#
# For scripts/test-matrix: the rows with a system of their own, in a root as
# scripts/root.sh makes it.  To be sourced.
#
# SPDX-License-Identifier: MIT

# the variables of scripts/test-matrix
# shellcheck disable=SC2153,SC2034

# need_root SUITE ARCH PACKAGE...: sets ROOT.  Packages of another machine have
# its name, as package:arch.
need_root() {
	local suite=$1 arch=$2 foreign log=$WORK/$ROW/debootstrap.log

	ROOT=$WORK/$ROW/root
	[[ $(id -u) == 0 ]] || cannot_run "needs root"
	command -v debootstrap >/dev/null || cannot_run "install debootstrap"
	! mountpoint -q "$ROOT/proc" || umount "$ROOT/proc"
	[[ ! -f $ROOT/installed ]] || return 0

	make_root "$suite" "$arch" >"$log" 2>&1 || {
		cat "$log"
		cannot_run "debootstrap of $suite for $arch:" \
			"$(tail -n 1 "$log")"
	}
	foreign=$(printf '%s\n' "${@:3}" | sed -n 's/.*:/ /p' | sort -u)
	for arch in $foreign; do
		chroot "$ROOT" dpkg --add-architecture "$arch"
	done
	install_in_root "${@:3}" ||
		cannot_run "apt does not get the packages of $suite"
	touch "$ROOT/installed"
}

# run_in_root [OPTION...]: this script's, besides those of what and where
run_in_root() {
	rm -rf -- "$ROOT"/matrix/*/{total,skip}
	copy_checkout
	mountpoint -q "$ROOT/proc" || mount -t proc proc "$ROOT/proc" ||
		cannot_run "cannot mount /proc in it"
	# shellcheck disable=SC2064 # now
	trap "umount '$ROOT/proc'" EXIT
	chroot "$ROOT" /bin/bash /checkout/scripts/test-matrix --work /matrix \
		--jobs "$JOBS" --only "${INNER// /,}" "$@" || true
	both_ways "$ROOT/matrix"
}

# both_ways WORK: what the script that ran in a root says of both ways, or of
# the one that was asked for.
both_ways() {
	local inner name file why passed failed left

	for inner in $INNER; do
		name=companion
		[[ $inner == system ]] || name="compiled in"
		for file in version compiler; do
			[[ ! -f $1/$inner/$file ]] ||
				cp "$1/$inner/$file" "$WORK/$ROW/$file"
		done
		if [[ -f $1/$inner/skip ]]; then
			why=$(<"$1/$inner/skip")
			note "$name: not run here: $why"
			continue
		fi
		[[ -f $1/$inner/total ]] || fail "$name did not get to its end"
		read -r passed failed left <"$1/$inner/total"
		count "$passed" "$failed" "$left"
		cat "$1/$inner/skipped" >>"$WORK/$ROW/skipped" || true
		printf '%s|%d %d %d\n' "$name" "$passed" "$failed" "$left" \
			>>"$WORK/$ROW/ways"
		[[ ! -f $1/$inner/note ]] || note "$name: $(<"$1/$inner/note")"
	done
	[[ -f $WORK/$ROW/count ]] ||
		cannot_run "$(paste -sd ';' "$WORK/$ROW/note")"
}

# Systems of their own, in which this script runs its rows for both ways.
row_root() {
	local suite=$1 arch=$2

	case $arch:$(dpkg --print-architecture) in
	i386:i386 | i386:amd64 | amd64:amd64 | arm64:arm64) ;;
	*) cannot_run "this machine does not run $arch" ;;
	esac
	need_root "$suite" "$arch" gcc libc6-dev make cmake pkg-config \
		libwebsockets-dev uthash-dev libcmocka-dev dpkg-dev libssl-dev \
		libcap-dev zlib1g-dev ca-certificates openssl
	run_in_root
}

# Built for another machine by a cross compiler, and run by qemu-user.  All that
# runs by itself is of this machine, so the kernel need not know about qemu.
row_cross() {
	local suite=$1 arch=$2 triplet=$3 here

	here=$(dpkg --print-architecture)
	if [[ $here == "$arch" ]]; then
		row_root "$suite" "$arch"
		return
	fi
	need_root "$suite" "$here" libc6-dev make cmake \
		gcc pkg-config uthash-dev dpkg-dev ca-certificates \
		"gcc-$triplet" qemu-user-static libc6-dev:"$arch" \
		{libwebsockets,libcmocka,libssl,libcap,zlib1g}-dev:"$arch"
	run_in_root --cross "$triplet"
}

# of_stages SUFFIX: what the stages there have left in such files
of_stages() {
	find "$ROOT/checkout/build/test" -maxdepth 1 -name "*.$1" \
		-exec cat {} +
}

# A system with nothing but what every Debian has, in which a newcomer's two
# commands install all that they need, and run as they do here.
row_bare() {
	local result
	local counts='^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$'

	ROOT=$WORK/$ROW/root
	[[ $(id -u) == 0 ]] || cannot_run "needs root"
	command -v debootstrap >/dev/null || cannot_run "install debootstrap"
	[[ $2 == "$(dpkg --print-architecture)" ]] ||
		cannot_run "this machine is no $2"
	unmount_root
	make_root "$1" "$2" || cannot_run "debootstrap of $1 (see its log)"
	copy_checkout
	trap unmount_root EXIT
	mount_root || cannot_run "cannot mount /proc and /dev in it"

	in_root scripts/demo || fail "scripts/demo ended with $?"
	count 1 0 0
	in_root scripts/test --jobs "$JOBS" | tee "$WORK/$ROW/check.log" || true
	result=$(tail -n 1 "$WORK/$ROW/check.log")
	[[ $result =~ $counts ]] ||
		fail "scripts/test did not get to its end"
	count "${BASH_REMATCH[@]:1:3}"
	of_stages left | sed 's/^[0-9]* //' | tr ' ' '\n' | sort -u \
		>"$WORK/$ROW/skipped"
	sed -n 's/^not run: \([^:]*\):.*/\1/p' "$WORK/$ROW/check.log" \
		>>"$WORK/$ROW/skipped"
	while read -r result; do
		note "$result"
	done < <(of_stages notes | sort -u |
		sed -n 's/, [0-9]* races.*//; /^not ours: /p' | uniq)
	chroot "$ROOT" pkg-config --modversion libwebsockets | sed 's/-.*//' \
		>"$WORK/$ROW/version"
	printf 'gcc %s\n' "$(chroot "$ROOT" gcc -dumpfullversion)" \
		>"$WORK/$ROW/compiler"
}

# The packages, made in a system with what that takes and tried by autopkgtest
# there; and put into a bare one, from which they leave without a trace.
row_package() {
	local log=$WORK/$ROW/check.log
	local -a needs

	[[ $2 == "$(dpkg --print-architecture)" ]] ||
		cannot_run "this machine is no $2"
	mapfile -t needs < <(scripts/package --needs)
	need_root "$1" "$2" autopkgtest apt-utils "${needs[@]}"
	unmount_root
	copy_checkout
	trap unmount_root EXIT
	mount_root || cannot_run "cannot mount /proc and /dev in it"
	chroot "$ROOT" pkg-config --modversion libwebsockets | sed 's/-.*//' \
		>"$WORK/$ROW/version"
	printf 'gcc %s\n' "$(chroot "$ROOT" gcc -dumpfullversion)" \
		>"$WORK/$ROW/compiler"

	in_root env DEB_BUILD_OPTIONS=nocheck scripts/package --no-install \
		--jobs "$JOBS" || fail "scripts/package"
	count 1 0 0
	in_root bash -c 'rm -rf /debs && mkdir /debs &&
		mv build/package/*.deb /debs && rm -rf build &&
		exec autopkgtest --no-built-binaries /debs/*.deb ./ \
		-- null' || fail "autopkgtest"
	count 3 0 0 # unit, consumer, examples
	unmount_root
	STAGE=$ROW test-apps/package/bare "$1" "$ROOT/debs" | tee "$log"
	grep -q '^all run$' "$log" || fail "in the bare one"
	count "$(grep -c '^ok ' "$log")" 0 0
}
