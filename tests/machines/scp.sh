#!/bin/sh
# `scp -q FILE... root@HOST:FOLDER` of a test's machine: copies to the other one's files.
set -eu
[ "$1" = -q ] && shift
for last; do :; done
host=${last%%:*}
folder=${last#*:}
case ${host#root@} in
# MACHINES
*) echo "scp: no host ${host#root@}" >&2; exit 255 ;;
esac
while [ $# -gt 1 ]; do
  cp "$1" "$files${folder:-/root}"
  shift
done
