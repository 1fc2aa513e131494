# Stops a script at the first command that fails, and names the command and its line. To be sourced first.

set -Eeuo pipefail
trap 'echo "${BASH_SOURCE[0]##*/}: line $LINENO: this failed with $?: $BASH_COMMAND" >&2' ERR
