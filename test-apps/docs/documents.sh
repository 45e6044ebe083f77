#!/bin/bash
#
# The documents that are checked here: those of the project, and each example's.
#
# SPDX-License-Identifier: MIT
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

printf '%s\n' ./*.md READMEs/*.md minimal-examples/*/*/README.md |
	sed 's|^\./||'
