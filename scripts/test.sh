#!/usr/bin/env bash
# Installs what the tests need, builds, runs every test and ends with the line "N passed, N failed".
# Run as root on Debian 12 from a checkout. Arguments go to vitest (e.g. --project unit).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/prepare.sh
. scripts/prepare.sh
prepare_packages containerd runc containernetworking-plugins nftables iptables conntrack iproute2 catatonit busybox-static docker-registry procps util-linux curl openssl ca-certificates unzip binutils python3-kubernetes prometheus
prepare_node
# The kubectl of Debian 12, unpacked and not installed, for other kubectl packages own the same file.
if [ ! -x .cache/kubernetes-client/usr/bin/kubectl ]; then
  echo "==> fetching the Debian package kubernetes-client"
  mkdir -p .cache/kubernetes-client
  (
    cd .cache/kubernetes-client
    apt-get download -qq kubernetes-client || { apt-get update -qq && apt-get download -qq kubernetes-client; }
    dpkg-deb -x kubernetes-client_*.deb .
    rm kubernetes-client_*.deb
  ) || echo "==> it cannot be had: the tests of kubectl 1.20 are skipped"
fi
echo "==> building dist/k3ts"
npm run -s build
status=0
report=$(mktemp)
trap 'rm -f "$report"' EXIT
vitest run --reporter=default --reporter=json --outputFile.json="$report" "$@" || status=$?
node --input-type=commonjs -e '
  const fs = require("fs");
  let r = {};
  try { r = JSON.parse(fs.readFileSync(process.argv[1], "utf8")); } catch {}
  const passed = r.numPassedTests ?? 0;
  // A file that does not load, or an error outside any test, is a failure too.
  const broken = (r.testResults ?? []).filter((f) => f.status === "failed" && f.assertionResults.every((a) => a.status !== "failed")).length;
  let failed = (r.numFailedTests ?? 0) + broken;
  if (failed === 0 && (Number(process.argv[2]) !== 0 || passed === 0)) failed = 1;
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
' "$report" "$status"
