# shellcheck shell=bash
#
# For test-apps/examples/NAME/check, which tries minimal-examples/*/NAME with real
# clients.  It begins with
#
#   set -euo pipefail
#   # shellcheck source=test-apps/examples/lib.sh
#   . "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"
#   # needs: curl:curl
#
# is called with a build tree (see ./check), and prints a line "ok WHAT" or
# "not ok WHAT" for each case, and by all_run "all run" at its end.  What it needs
# beside what the example itself does is named by lines as the last one above:
# packages, each with its command, as scripts/lib.sh has them.  What waits or takes
# a port is that of test-apps/stage.sh.
#
# SPDX-License-Identifier: MIT

# shellcheck source=test-apps/stage.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../stage.sh"
sanitizer_options
export PYTHONDONTWRITEBYTECODE=1	# or it would write beside ws.py and web.py

PLAYWRIGHT=1.55.0	# playwright-core, of npm

# shellcheck disable=SC2034 # the check's
TREE=$1
# shellcheck disable=SC2034 # the check's
NAME=$(basename -- "$(cd -- "$(dirname -- "$0")" && pwd)")
WORK=$(mktemp -d)	# of the example alone
EXAMPLE_PID=
OTHER_PIDS=()

at_exit() {
	local pid

	for pid in $EXAMPLE_PID "${OTHER_PIDS[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	rm -rf -- "$WORK"
}
trap at_exit EXIT

all_run() {
	printf 'all run\n'
}

# verdict WHAT COMMAND...: of the command
verdict() {
	if "${@:2}"; then
		printf 'ok %s: %s\n' "$NAME" "$1"
	else
		printf 'not ok %s: %s\n' "$NAME" "$1"
	fi
}

# program NAME: of the build tree
program() {
	find "$TREE" -type f -name "$1" -perm -u+x | head -n 1
}

is_gone() {
	! kill -0 "$1" 2>/dev/null
}

# or has ended
example_says() {
	is_gone "$EXAMPLE_PID" || grep -q "$1" "$WORK/log"
}

# start PATTERN [OPTION...]: starts the example, and waits until it says that.
# Sets EXAMPLE_PID.  What it says goes to $WORK/log.
start() {
	local program

	program=$(program "lws-$NAME")
	[[ $program ]] || {
		printf 'not ok %s: it is not built\n' "$NAME"
		exit 1
	}
	: >"$WORK/log"	# nothing of an earlier one
	"$program" "${@:2}" >>"$WORK/log" 2>&1 </dev/null &
	EXAMPLE_PID=$!
	wait_until example_says "$1" || true
	grep -q "$1" "$WORK/log" || {
		cat "$WORK/log"
		printf 'not ok %s: it does not start\n' "$NAME"
		exit 1
	}
}

# begin_example [OPTION...]: starts it on a port that is free, and sets PORT and
# URL.
begin_example() {
	start 'http://.*:[0-9]' -p 0 "$@"
	PORT=$(sed -n 's|.*http://[^ ]*:\([0-9]*\).*|\1|p' "$WORK/log" |
		head -n 1)
	# shellcheck disable=SC2034 # the check's
	URL=http://127.0.0.1:$PORT
}

# begin_client PORT [OPTION...]: starts it as a client of that port
begin_client() {
	start '^connecting to .*:[0-9]' -p "$@"
}

# end_example WHAT [PATTERN]: SIGINT ends it with exit status 0, and it said
# nothing but its first and last line, lines of LLL_USER, and those that match
# the extended regular expression behind their time.
end_example() {
	local status=0 known

	known="^((listening on|connecting to|started with) .*|ended)\$"
	known+="|^\[[^]]*\] (U: ${2:+|$2})"
	kill -INT "$EXAMPLE_PID" 2>/dev/null || true
	if ! wait_until is_gone "$EXAMPLE_PID"; then
		printf 'it does not end: killed\n'
		kill -KILL "$EXAMPLE_PID"
	fi
	wait "$EXAMPLE_PID" || status=$?
	EXAMPLE_PID=
	if ((status)) || ! grep -qx ended "$WORK/log" ||
		grep -vE "$known" "$WORK/log"; then
		tail -n 60 "$WORK/log"
		printf 'exit status %s\n' "$status"
		printf 'not ok %s: %s\n' "$NAME" "$1"
	else
		printf 'ok %s: %s\n' "$NAME" "$1"
	fi
}

# page_has PATH PATTERN: in what curl gets there, with its headers
page_has() {
	curl -sS -i "$URL/$1" >"$WORK/page" && grep -qi "$2" "$WORK/page"
}

# garbage SECONDS [OPTION...]: garbage of all kinds is sent to the example, which
# serves healthy clients meanwhile: lwstp-garbage, with its options.
garbage() {
	"$(program lwstp-garbage)" "$PORT" --seconds "$1" --seed "$RANDOM" \
		"${@:2}"
}

# metric NAME: the value of this sample at /metrics, of the first pool there;
# fails if that is not strictly OpenMetrics.
metric() {
	curl -sS --max-time "$PATIENCE" "$URL/metrics" |
		"$(program lwstp-openmetrics)" "lws_threadpool_$1"
}

# in_browser: its page in Debian's chromium, by NAME/browser.js.  Without that it
# is left out, with a line that says so, and BROWSED is empty.  Screenshots go to
# $TREE/screenshots.
in_browser() {
	local chromium modules=$TREE/playwright-$PLAYWRIGHT status=0

	BROWSED=
	if ! chromium=$(command -v chromium) || ! command -v node >/dev/null ||
		! command -v npm >/dev/null; then
		printf 'left out %s: the page in a browser: %s\n' "$NAME" \
			"it takes chromium and npm"
		return
	fi
	# others may be about to do the same
	exec 9>"$TREE/playwright.lock"
	flock 9
	if [[ ! -d $modules/node_modules/playwright-core ]] &&
		! npm install --prefix "$modules" --cache "$modules/cache" \
			--ignore-scripts --no-audit --no-fund \
			"playwright-core@$PLAYWRIGHT" >"$WORK/npm" 2>&1; then
		exec 9>&-
		tail -n 5 "$WORK/npm"
		rm -rf -- "$modules"
		printf 'left out %s: the page in a browser: %s\n' "$NAME" \
			"npm does not get playwright-core"
		return
	fi
	exec 9>&-
	# shellcheck disable=SC2034 # the check's
	BROWSED=1
	mkdir -p "$TREE/screenshots"
	NODE_PATH=$modules/node_modules timeout $((PATIENCE * 10)) \
		node "$(dirname -- "$0")/browser.js" "$URL" \
		"$TREE/screenshots" "$chromium" >"$WORK/browser" 2>&1 ||
		status=$?
	sed "s/^\(not ok\|ok\) /&$NAME: /" "$WORK/browser"
	((!status)) && grep -q '^all seen$' "$WORK/browser" ||
		printf 'not ok %s: the page to its end\n' "$NAME"
}
