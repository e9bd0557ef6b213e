#!/bin/sh
# `ssh root@HOST COMMAND` of a test's machine: enters the other one, as its root, in its home.
set -eu
case ${1#root@} in
# MACHINES
*) echo "ssh: no host ${1#root@}" >&2; exit 255 ;;
esac
shift
echo $$ > "$cgroup/cgroup.procs"
exec $enter sh -c "cd; $*"
