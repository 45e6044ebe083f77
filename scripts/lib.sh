# shellcheck shell=bash
#
# What the scripts share: a known environment, error messages, installing the
# packages that are missing, configuring and building a tree below build/,
# counting what was tested, and writing figures into a README.  To be sourced,
# not run.
#
# SPDX-License-Identifier: MIT

# The checkout, wherever it is and wherever we were called from.
TOP=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
LWS_NEEDED=4.1
JOBS=${JOBS:-$(nproc)}

export LC_ALL=C.UTF-8
# What a newcomer's shell has set must not change what is built.
unset CDPATH CFLAGS CXXFLAGS CPPFLAGS LDFLAGS CMAKE_GENERATOR DESTDIR

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# A command's script begins with a comment: that is its --help.
print_help() {
	sed -n '3,/^[^#]*$/s/^# \{0,1\}//p' "$0" | grep -v SPDX
}

# --- the system -------------------------------------------------------------

# The value of a variable of os-release; LWSTP_OS_RELEASE is for our tests.
os_release() {
	local file=${LWSTP_OS_RELEASE:-/etc/os-release}

	[[ -r $file ]] || return 0
	sed -n "s/^$1=//p" "$file" | tr -d "\"'" | head -n 1
}

check_system() {
	local found

	found=$(os_release PRETTY_NAME)
	[[ -n $found ]] || found="$(uname -s) without /etc/os-release"
	case " $(os_release ID) $(os_release ID_LIKE) " in
	*" debian "*) ;;
	*)
		die "unsupported system: found $found, needed is Debian 12 or" \
		    "later, or a system derived from it. Elsewhere install a C" \
		    "compiler, CMake, pkg-config, libwebsockets $LWS_NEEDED or" \
		    "later, uthash and cmocka, and use cmake by hand (README.md)."
		;;
	esac
	if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null
	then
		die "unsupported system: found $found, but no apt-get or dpkg"
	fi
	[[ -r /proc/self/maps ]] ||
		die "/proc is not mounted: mount -t proc proc /proc"
}

# --- packages ---------------------------------------------------------------

# A need is "package" or "package:command": with a command, any one of that
# name in PATH will do.
need_is_met() {
	local package=${1%%:*} command=${1#*:} state

	case $package in
	libwebsockets-dev)
		pkg-config --exists libwebsockets 2>/dev/null && return 0
		;;
	esac
	if [[ $1 == *:* ]]; then
		command -v "$command" >/dev/null
		return
	fi
	state=$(dpkg-query -W -f '${db:Status-Status} ' "$package" \
		2>/dev/null) || return 1
	[[ " $state" == *" installed "* ]]
}

# Sets AS_ROOT to what makes a command run as root.
find_root() {
	AS_ROOT=()
	[[ $(id -u) != 0 ]] || return 0

	command -v sudo >/dev/null ||
		die "these packages are missing and this is neither root nor a" \
		    "user with sudo: install them as root: apt-get install $*"
	AS_ROOT=(sudo -n)
	sudo -n true 2>/dev/null && return 0
	# sudo may ask for a password, but only somebody who is there.
	if [[ -t 0 && -t 2 ]]; then
		AS_ROOT=(sudo)
		sudo -v && return 0
	fi
	die "these packages are missing and sudo does not let us install" \
	    "them: install them as root: apt-get install $*"
}

# apt COMMAND [ARGUMENT...]: as root, without a question
apt() {
	"${AS_ROOT[@]}" env LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
		apt-get -q -o DPkg::Lock::Timeout=300 -o APT::Color=0 "$@" \
		</dev/null 2>&1
}

# run_apt COMMAND [ARGUMENT...]: all that it says is in build/apt.log, how far
# it is is shown.
run_apt() {
	apt "$@" -y -o APT::Status-Fd=1 | show_progress "$1" || {
		grep -av '^[dp][lm]status:' "$APT_LOG" | tail -n 15 >&2
		die "apt-get $1 failed (above; all of it in build/apt.log)"
	}
}

# show_progress COMMAND: how far apt is: on a terminal a line that is rewritten,
# elsewhere a line at each quarter of an install.
show_progress() {
	local line what percent quarter last=

	while IFS= read -r line; do
		printf '%s\n' "$line" >>"$APT_LOG"
		[[ $line =~ (dl|pm)status:.*:([0-9]+)\.[0-9]+: ]] || continue
		what=fetching percent=${BASH_REMATCH[2]}
		[[ ${BASH_REMATCH[1]} == dl ]] || what=installing
		quarter="$what $((percent / 25))"
		if [[ -t 1 ]]; then
			printf '\r\033[K%s: %3d %%' "$what" "$percent"
		elif [[ $1 == install && $quarter != "$last" ]]; then
			printf '%s: %3d %%\n' "$what" "$percent"
		fi
		last=$quarter
	done
	[[ ! -t 1 || ! $last ]] || printf '\r\033[K'
}

# say_how_much PACKAGE...: what apt would do for them
say_how_much() {
	local plan packages fetched disk

	plan=$(apt --assume-no install --no-install-recommends "$@") || true
	packages=$(sed -n 's/.*, \([0-9]*\) newly installed.*/\1/p' <<<"$plan")
	fetched=$(sed -n 's/^Need to get \(.*\) of archives\./\1/p' <<<"$plan")
	disk=$(sed -n 's/^After this operation, \(.* [kMG]*B\) .*/\1/p' \
		<<<"$plan")
	[[ $packages && $fetched && $disk ]] || return 0
	printf 'With what they need: %s to install, %s to fetch, %s of disk\n' \
		"$packages" "${fetched%%/*}" "$disk"
}

# An lws that is too old is refused before anything is installed.
check_lws_candidate() {
	local version

	version=$(apt-cache show --no-all-versions libwebsockets-dev \
		2>/dev/null | sed -n 's/^Version: //p' | head -n 1)
	[[ -n $version ]] ||
		die "unsupported system: found $(os_release PRETTY_NAME)" \
		    "without a libwebsockets-dev package in its sources"
	dpkg --compare-versions "$version" ge "$LWS_NEEDED" ||
		die "unsupported system: found $(os_release PRETTY_NAME) with" \
		    "libwebsockets $version, needed is $LWS_NEEDED or later"
}

# Empty by --no-install: what is missing is named, and nothing is installed.
MAY_INSTALL=1

# install_missing NEED...: no apt work and no network if nothing is missing.
install_missing() {
	local need
	local -a missing=()

	for need; do
		need_is_met "$need" || missing+=("${need%%:*}")
	done
	if ((${#missing[@]})); then
		[[ $MAY_INSTALL ]] ||
			die "missing, and not to be installed by us:" \
			    "apt-get install --no-install-recommends" \
			    "${missing[*]}"
		printf 'Missing here, to be installed by apt-get:\n'
		fold -s -w 74 <<<"${missing[*]}" | sed 's/ *$//; s/^/    /'
		find_root "${missing[@]}"
		APT_LOG=$TOP/build/apt.log
		: >"$APT_LOG"
		printf 'Reading the package lists (apt-get update)\n'
		run_apt update
		case " ${missing[*]} " in
		*" libwebsockets-dev "*) check_lws_candidate ;;
		esac
		say_how_much "${missing[@]}"
		run_apt install --no-install-recommends \
			-o Dpkg::Options::=--force-confold "${missing[@]}"
		printf 'Installed.\n'
	fi

	pkg-config --exists libwebsockets ||
		die "pkg-config does not find libwebsockets:" \
		    "$(pkg-config --print-errors --exists libwebsockets 2>&1)"
	pkg-config --atleast-version="$LWS_NEEDED" libwebsockets ||
		die "unsupported system: found libwebsockets" \
		    "$(pkg-config --modversion libwebsockets), needed is" \
		    "$LWS_NEEDED or later"
}

# example_needs NAME: what an example uses beside lws, as its CMakeLists.txt and
# its script have it; '*' are all of them.
example_needs() {
	{
		find "$TOP"/minimal-examples/*/* -path "*/$1/CMakeLists.txt" \
			-exec sed -En \
			's/^threadpool_example_needs\(\S* (\S*)\)$/\1/p' {} +
		find "$TOP"/minimal-examples/*/* -path "*/$1/start" \
			-exec sed -n 's/^# needs: //p' {} +
	} | sort -u
}

# example_test_needs [-by-ci]: and what the tests of the examples use, or what
# they use if it is there and is large
example_test_needs() {
	sed -n "s/^# needs${1-}: //p" "$TOP"/test-apps/examples/*/check |
		tr ' ' '\n' | sort -u
}

# need_lws_source DIR: the source package of the libwebsockets-dev that is
# installed, unpacked in DIR once.  Sets SOURCE to the tree, and SOURCE_NOTE to
# what it is if not all of that package.  Fails if the archive does not give it.
#
# apt is told of the sources of what the system has binaries of, in a
# configuration of its own that is gone afterwards, whoever we are.  Archives
# that are mirrored in part may lack Debian's patches: then it is the tarball
# that they are patches for.
need_lws_source() {
	local version

	version=$(dpkg-query -W -f '${source:Version}' libwebsockets-dev) ||
		return 1
	SOURCE=$1/$version
	if [[ ! -f $SOURCE/CMakeLists.txt ]]; then
		rm -rf -- "$SOURCE" "$1/new"
		mkdir -p "$1/new"
		(cd "$1/new" && fetch_lws_source "$version") || return 1
		mv "$1"/new/libwebsockets-*/ "$SOURCE"
		rm -rf -- "$1/new"
	fi
	# shellcheck disable=SC2034 # the caller's
	SOURCE_NOTE=$(cat "$SOURCE/.upstream" 2>/dev/null || true)
}

# fetch_lws_source VERSION: into a directory below this one.
fetch_lws_source() (
	apt=$(mktemp -d) || return 1
	# shellcheck disable=SC2064 # now
	trap "rm -rf -- '$apt'" EXIT
	mkdir -p "$apt"/{parts,lists/partial,cache/archives/partial}
	for file in /etc/apt/sources.list{,.d/*.list}; do
		[[ ! -f $file ]] ||
			sed -n 's/^[[:space:]]*deb\([[:space:]]\)/deb-src\1/p' \
				"$file" >>"$apt/parts/all.list"
	done
	for file in /etc/apt/sources.list.d/*.sources; do
		[[ ! -f $file ]] || sed 's/^Types:.*/Types: deb-src/' "$file" \
			>"$apt/parts/${file##*/}"
	done

	# the lists of a mirror that has stood still are signed, too
	set -- "$1" -q -o Acquire::Check-Valid-Until=false \
		-o Dir::Etc::SourceList=/dev/null \
		-o Dir::Etc::SourceParts="$apt/parts" \
		-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
		-o APT::Sandbox::User="$(id -un)" -o APT::Color=0
	# other people's archives may have no sources, or be away
	apt-get "${@:2}" update || true
	apt-get "${@:2}" source "libwebsockets=$1" && return 0

	printf 'no source package: its tarball, then\n'
	apt-get "${@:2}" --tar-only source "libwebsockets=$1" || return 1
	mkdir libwebsockets-upstream
	tar --strip-components=1 -C libwebsockets-upstream \
		-xf libwebsockets_*.orig.tar.* || return 1
	printf 'source %s without the patches of %s, which %s\n' "${1%-*}" "$1" \
		"the archive does not have here" >libwebsockets-upstream/.upstream
)

# --- building ---------------------------------------------------------------

make_build_dir() {
	mkdir -p "$TOP/build" 2>/dev/null || true
	[[ -w $TOP/build ]] ||
		die "cannot write to build/ in the checkout: it has to belong to" \
		    "you (id $(id -un))"
}

# configure TREE [CMAKE-ARGUMENT...]: a tree that was made for a checkout in
# another place (one that has been moved or copied) is begun anew.  Without
# the cluster, unless an argument asks for it.
configure() {
	local tree=$1 made_for

	shift
	if [[ -e $tree/CMakeCache.txt ]]; then
		made_for=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' \
			"$tree/CMakeCache.txt")
		[[ $made_for == "$TOP" ]] || rm -rf -- "$tree"
	fi
	cmake -S "$TOP" -B "$tree" -G 'Unix Makefiles' \
		-DLWSTP_CLUSTER="${LWSTP_CLUSTER:-OFF}" "$@"
}

build() {
	cmake --build "$1" -j "$JOBS" "${@:2}"
}

# How programs of a build with a sanitizer are begun.  TSan before gcc 14 cannot
# run where addresses are very random.
AS_IS=(env)

# sanitized_runs SANITIZERS PROBE: sets AS_IS, by a program that is built and begun;
# false if it does not run here however it is begun.
sanitized_runs() {
	printf 'int main(void) { return 0; }\n' >"$2.c"
	gcc "-fsanitize=$1" "$2.c" -o "$2" || return
	"$2" || AS_IS=(setarch "$(uname -m)" -R)
	"${AS_IS[@]}" "$2"
}

# --- counting ---------------------------------------------------------------

# named_failures LOG: its lines that name what failed, each once and a screenful
# at most: programs of cmocka by count_cmocka, cases of a check, ends of a stage.
named_failures() {
	awk '
	{ sub(/^ +/, "") }
	/^not ok |^FAILED: |^SUMMARY: |; failed: |: error: / ||
	/^[a-z0-9-]+: [^,]+, of [0-9]+ tests / && !/: Passed, / {
		if (!seen[$0]++ && ++n <= 20)
			print "    " $0
	}' "$1"
}

# What a build and tests that pass say.
NOISE='^\[ *[0-9]+%\] |^(-- |g?make(\[|:)|Scanning |Consolidate)'
NOISE+='|^ +Start +[0-9]+: |^ *[0-9]+/[0-9]+ Test +#.* Passed '
NOISE+='|\[ RUN      \]|\[       OK \]|^\[==========\]|^[[:space:]]*$'

# failure_of LOG: what failed, with the lines around it, a screenful at most; or
# the end of the log, if nothing in it is known to be that.
failure_of() {
	grep -avE "$NOISE" "$1" | awk '
	/repeat it by: |^=+$|^==[0-9]+== (-+.*)?$/ || seen[$0]++ { next }
	{ text[++line] = substr($0, 1, 150) }
	/^ *(not ok |FAILED|SUMMARY: |CMake Error|In .* line [0-9]+:)/ ||
	/: (fatal )?error: |undefined reference|runtime error: / ||
	/\[  ERROR   \]|\[   LINE   \]|\[  FAILED  \] [a-z]/ ||
	/(ERROR|WARNING): [A-Za-z]+Sanitizer/ ||
	/^==[0-9]+== (Invalid|Conditional|Use of|Thread #.*:)/ ||
	/ (FAILED|Aborted|Segmentation fault)/ ||
	/: (never run|[0-9]+ of [0-9]+ branches taken): / {
		after = /Sanitizer: |^==[0-9]+== |runtime error/ ? 8 : 1
		for (n = line - !/Sanitizer/; n <= line + after; n++)
			shown[n] = 1
	}
	END {
		for (n = 1; n <= line; n++)
			any += n in shown
		for (n = 1; n <= line; n++) {
			if (any && !(n in shown) || !any && n <= line - 20)
				continue
			if (++lines > 30)
				break
			print "    " text[n]
		}
		if (any > 30)
			printf "    ... and %d lines more\n", any - 30
	}'
}

# count_cmocka LOG: ctest's log of a run of cmocka programs in, the number of
# test cases that passed, failed and were left out (skipped) out.  A test that
# was begun and has neither passed nor been skipped has failed.  A program that
# crashed, failed without a failed test (a leak, a race), ran nothing or not all
# that it has counts as one that failed, on top of what it got done.
count_cmocka() {
	awk '
	function close_test() {
		if (open)
			culprits = culprits (culprits ? ", " : "; failed: ") open
		open = ""
	}
	function close_program(bad) {
		if (!name)
			return
		close_test()
		bad = begun - good - skipped
		if (verdict != "Passed" && !bad)
			bad = 1
		if (verdict == "Passed" && (!begun || good + skipped != plan))
			bad++
		if (bad || skipped)
			print name ": " verdict ", of " plan " tests " good \
				" passed, " skipped " left out" culprits \
				>"/dev/stderr"
		passed += good
		failed += bad
		left += skipped
		name = ""
	}
	/^[0-9]+\/[0-9]+ Testing: / {
		close_program()
		name = $3
		verdict = "no result"
		plan = begun = good = skipped = 0
		culprits = ""
	}
	/\[=+\] .*Running [0-9]+ test\(s\)/ {
		match($0, /Running [0-9]+/)
		plan += substr($0, RSTART + 8, RLENGTH - 8)
	}
	/\[ RUN      \] / { close_test(); begun++; open = $NF }
	/\[       OK \] / { good++; open = "" }
	/\[  SKIPPED \] / { skipped += open != ""; open = "" }
	/^Test (Passed|Failed)\.$/ { verdict = substr($2, 1, 6) }
	END {
		close_program()
		print passed + 0, failed + 0, left + 0
	}' "$1"
}

# --- figures in a README ------------------------------------------------------

# write_figures README SCRIPT DIR: what is on stdin, between the marks of SCRIPT.
# The hand-written part around them is left alone.  DIR is for what is written on
# the way.
write_figures() {
	local begin="<!-- $2 writes from here" end='<!-- to here -->'

	if ! grep -q "^$begin" "$1" || ! grep -q "^$end" "$1"; then
		die "${1#"$TOP/"} has lost its marks"
	fi
	cat >"$3/generated.md"
	awk -v begin="$begin" -v end="$end" -v file="$3/generated.md" '
	index($0, end) == 1 { on = 0 }
	!on { print }
	index($0, begin) == 1 {
		on = 1
		print ""
		while ((getline text < file) > 0)
			print text
		print ""
	}' "$1" >"$3/README.md"
	cp "$3/README.md" "$1"
}
