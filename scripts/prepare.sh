# Sourced by install.sh and test.sh from the checkout's folder: installs what is missing on Debian.

# prepare_packages NAME...: installs the Debian packages that are not there yet.
prepare_packages() {
  missing=
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $name"
  done
  [ -n "$missing" ] || return 0
  echo "==> installing Debian packages:$missing"
  # Packages must not start services of their own: k3ts runs its own containerd, the tests their own registry.
  policy=/usr/sbin/policy-rc.d
  made_policy=no
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made_policy=yes
  fi
  rc=0
  # shellcheck disable=SC2086 # the names are words
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null; } || rc=$?
  [ "$made_policy" = no ] || rm -f "$policy"
  return "$rc"
}

# prepare_node: installs the npm dependencies, among them the Node that the project runs on, unless they are current,
# and puts that Node first on PATH.
prepare_node() {
  command -v npm >/dev/null 2>&1 || prepare_packages nodejs npm
  if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "==> installing npm dependencies"
    # Not "npm ci": it refuses a lock file made where packages for other platforms cannot be had.
    npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error
  fi
  PATH=$PWD/node_modules/.bin:$PATH
  export PATH
}
