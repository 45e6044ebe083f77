#!/bin/bash
#
# The words of the documents that neither British nor American English has, nor
# the list beside this script, with their places.  False if there are any.
#
# usage: spelling.sh DOCUMENT...
#
# SPDX-License-Identifier: MIT
set -euo pipefail
here=$(dirname -- "${BASH_SOURCE[0]}")

# One of them has initialize, the other one initialise.
unknown() {
	aspell list -l en_US --encoding=utf-8 |
		aspell list -l en_GB --encoding=utf-8
}

words=$("$here/prose.pl" "$@")
strange=$(awk '{ print $NF }' <<<"$words" | sort -u | unknown)
status=0
while read -r word; do
	bare=${word,,}
	if [[ $word ]] &&
		! grep -qxF -e "${bare%\'s}" "$here/words"; then
		grep -e ": $word\$" <<<"$words"
		status=1
	fi
done <<<"$strange"
exit "$status"
