# shellcheck shell=bash
#
# What stages that try a server share, beside stage.sh: to begin it and to end it,
# and a client by bash alone for http/1 and ws.  To be sourced, in place of that.
#
# SPDX-License-Identifier: MIT

# shellcheck source=test-apps/stage.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/stage.sh"

server_pid=

# c_block FILE: the first block of C in a document
c_block() {
	awk '/^```c$/ { on = 1; next } on && /^```/ { exit } on' "$TOP/$1"
}

# has_page PORT: a browser would get a page there.
has_page() {
	local reply

	exec 3<>"/dev/tcp/127.0.0.1/$1"
	printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
	reply=$(timeout 60 cat <&3 | tr -d '\000')
	exec 3>&-
	printf '%s\n' "${reply%%$'\n'*}"
	[[ $reply == "HTTP/1.1 200"* && ${reply,,} == *"<html"* ]]
}

# listens PID PORT
listens() {
	kill -0 "$1" || fail "the server ended"
	(exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null
}

# begin_server PORT PROGRAM [ARGUMENT...]: sets server_pid
begin_server() {
	"${@:2}" </dev/null &
	server_pid=$!
	wait_until listens "$server_pid" "$1" || fail "it does not listen"
}

# end_server SIGNAL
end_server() {
	kill "-$1" "$server_pid"
	wait "$server_pid" || fail "it ended with exit status $? by SIG$1"
	server_pid=
}

# ws_open PORT [PROTOCOL]: a ws connection to PORT, accepted, as fd 3
ws_open() {
	local line

	exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
	printf '%s\r\n' 'GET / HTTP/1.1' "Host: localhost:$1" \
		'Upgrade: websocket' 'Connection: Upgrade' \
		'Sec-WebSocket-Key: bHdzLXRocmVhZHBvb2whIQ==' \
		'Sec-WebSocket-Version: 13' \
		${2:+"Sec-WebSocket-Protocol: $2"} '' >&3
	IFS= read -r -t 60 line <&3 || return 1
	printf 'the server says: %s\n' "$line"
	[[ $line == "HTTP/1.1 101 "* ]] || return 1
	while [[ $line != $'\r' ]]; do
		IFS= read -r -t 60 line <&3 || return 1
	done
}

# ws_greets PORT [PROTOCOL]: a ws connection to PORT is accepted, and a frame
# comes.
ws_greets() {
	local line

	ws_open "$@" || return 1
	# FIN, and text or binary.
	line=$(timeout 60 head -c 2 <&3 | od -An -tx1)
	printf 'the first frame begins:%s\n' "$line"
	exec 3>&-
	[[ $line == " 81"* || $line == " 82"* ]]
}

# ws_counts PORT: it counts to 10 and closes, with the code for a normal end
ws_counts() {
	local frames

	ws_open "$@" || return 1
	frames=$(timeout 60 head -c 35 <&3 | od -An -tx1 | tr -d ' \n')
	printf 'the frames: %s\n' "$frames"
	exec 3>&-
	[[ $frames == 810131810132*81023130880203e8 ]]
}

# set_port PORT FILE: of a server in C
set_port() {
	sed -i "s/\(port *= *\)[0-9][0-9]*/\1$1/" "$2"
	grep -q "port *= *$1" "$2" || fail "no port = number in it"
}

# counts_and_ends PROGRAM PORT TIMES: it counts to 10 for so many clients, and ends
# by a signal; the second time just after a client has gone in the middle.
counts_and_ends() {
	local n

	begin_server "$2" "$1"
	for ((n = 0; n < $3; n++)); do
		ws_counts "$2" || fail "no ws connection that counts to 10"
	done
	end_server TERM
	begin_server "$2" "$1"
	ws_greets "$2" || fail "no ws connection with a frame"
	end_server INT
}

# http_says PORT TEXT "METHOD PATH" [BODY]: the answer has that text in it.
http_says() {
	local body=${4-} reply

	exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
	printf '%s\r\n' "$3 HTTP/1.1" 'Host: localhost' 'Connection: close' \
		"Content-Length: ${#body}" '' >&3
	printf '%s' "$body" >&3
	reply=$(timeout 60 cat <&3) || true
	exec 3>&-
	printf '%s: %s\n' "$3" "$reply"
	[[ $reply == *"$2"* ]]
}

# refuses_some PORT: of many requests at once some are answered, and some put off.
refuses_some() {
	local n
	local -a asked=()

	for n in {1..20}; do
		(http_says "$1" '' 'GET /' >"answer.$n") &
		asked+=($!)
	done
	wait "${asked[@]}"
	grep -l '^GET /: HTTP/1.1 200' answer.* >/dev/null &&
		grep -il '^retry-after: 2' answer.* >/dev/null
}
