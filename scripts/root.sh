# shellcheck shell=bash
#
# Debian systems in a directory of their own, for scripts/test-matrix and the
# stage package: to make one and to run commands in it.  They want root and
# debootstrap.  ROOT is the caller's: where it is.  To be sourced after lib.sh.
#
# SPDX-License-Identifier: MIT

# make_root SUITE ARCH: unpacked from what was made in the last 12 hours, by
# whichever row or stage, or made now.
make_root() {
	local made=$TOP/build/roots/$1-$2.tar

	mkdir -p "${made%/*}"
	(
		flock 8
		[[ $(find "$made" -mmin -720 2>/dev/null) ]] ||
			bootstrap "$1" "$2" "$made"
	) 8>"$made.lock" || return
	rm -rf --one-file-system -- "$ROOT"
	mkdir -p "$ROOT"
	tar -C "$ROOT" --numeric-owner -xpf "$made"
}

# bootstrap SUITE ARCH TAR: from the mirror of Debian that apt uses here, if it has
# all of it, else from debootstrap's own; through apt's proxy, if it has one.
bootstrap() {
	local mirror proxy='' dir=$3.root

	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	[[ -z $proxy || $proxy == DIRECT ]] || export http_proxy=$proxy
	# shellcheck disable=SC2016 # apt's own
	mirror=$(apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
		grep -m 1 '^http' || true)
	for mirror in ${mirror:+"$mirror"} ''; do
		rm -rf --one-file-system -- "$dir"
		debootstrap --arch="$2" --variant=minbase \
			--include=ca-certificates "$1" "$dir" \
			${mirror:+"$mirror"} || continue
		printf 'Acquire::Check-Valid-Until "false";\n' \
			>"$dir/etc/apt/apt.conf.d/90stands-still"
		[[ -z ${http_proxy-} ]] ||
			printf 'Acquire::http::Proxy "%s";\n' "$http_proxy" \
				>"$dir/etc/apt/apt.conf.d/90proxy"
		tar -C "$dir" --numeric-owner --one-file-system \
			-cpf "$3.new" . && mv "$3.new" "$3" || return
		rm -rf --one-file-system -- "$dir"
		return
	done
	return 1
}

# copy_checkout: to /checkout there, without what was built
copy_checkout() {
	rm -rf -- "$ROOT/checkout"
	mkdir -p "$ROOT/checkout"
	tar -C "$TOP" --exclude=./build --exclude=./.git -cf - . |
		tar -C "$ROOT/checkout" -xf -
}

# mount_root: /proc and /dev, as programs expect them.  Undone by unmount_root.
mount_root() {
	mount -t proc proc "$ROOT/proc" && mount --rbind /dev "$ROOT/dev" &&
		mount --make-rslave "$ROOT/dev"
}

unmount_root() {
	local mount

	for mount in "$ROOT"/{dev,proc}; do
		! mountpoint -q "$mount" || umount -R "$mount"
	done
}

# in_root COMMAND [ARGUMENT...]: in the checkout there, as root has it after login;
# by CI without the stages that say the same as here
in_root() {
	chroot "$ROOT" /usr/bin/env -i HOME=/root TERM=dumb \
		LWSTP_TEST_BRIEF="${LWSTP_TEST_CI-}" \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		/bin/bash -c 'cd /checkout && exec "$@"' in_root "$@"
}

# install_in_root PACKAGE...
install_in_root() {
	# a mirror that has stood still will do, as it does for debootstrap
	chroot "$ROOT" apt-get -q -o Acquire::Check-Valid-Until=false update &&
		chroot "$ROOT" env DEBIAN_FRONTEND=noninteractive \
			apt-get -y -q install --no-install-recommends "$@"
}
