# shellcheck shell=bash
# Shared by scripts/run, scripts/test and scripts/check; to be sourced, from the repository's root.
# Everything here does nothing, quickly, when it has been done before.

venv=.venv

say() {
  if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi
}

# as_root COMMAND...: directly as root, else through sudo; fails where there is neither.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "needs root, and sudo is not installed: $*" >&2
    return 1
  fi
}

# install_packages PACKAGE...: install missing packages with apt; fail with a message if that is impossible.
install_packages() {
  local package lacking=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      lacking+=("$package")
  done
  [ ${#lacking[@]} -gt 0 ] || return 0
  say "Installing Debian packages: ${lacking[*]}"
  if ! command -v apt-get >/dev/null; then
    echo "this is no Debian; install what corresponds to: ${lacking[*]}" >&2
    return 1
  fi
  as_root env DEBIAN_FRONTEND=noninteractive sh -euc '
    # Packages of databases start their servers, which tests do without.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
      trap "rm -f $policy" EXIT
      printf "#!/bin/sh\nexit 101\n" >"$policy"
      chmod +x "$policy"
    fi
    # The lists of a fresh machine are empty, those of an old one point at files that are gone.
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends "$@" </dev/null' sh "${lacking[@]}"
}

# make_venv: with Debian's own Python, or the one that $PYTHON names.
make_venv() {
  [ -x "$venv/bin/pip" ] && return
  local python=${PYTHON:-}
  [ -n "$python" ] || { [ -x /usr/bin/python3 ] && python=/usr/bin/python3; } || python=python3
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Kernelscope needs Python 3.11 or newer; $python is $("$python" -V). Set PYTHON." >&2
    return 1
  }
  say "Making $venv with $("$python" -V)"
  "$python" -m venv "$venv"
}

# install_project STAMP REQUIREMENT...: pip install, unless nothing it reads has changed since
# STAMP's last time. Editable, so that a change in the clone counts at once; pip builds the page.
install_project() {
  local stamp=$venv/$1.stamp now
  shift
  now="$* $(find pyproject.toml hatch_build.py web -name node_modules -prune -o -type f -print0 |
    sort -z | xargs -0 sha256sum | sha256sum)"
  [ "$(cat "$stamp" 2>/dev/null)" != "$now" ] || return 0
  say "pip install $*"
  "$venv/bin/python" -m pip install --disable-pip-version-check --quiet --editable "$@"
  printf '%s' "$now" >"$stamp"
}
