#!/usr/bin/env bash
# Kubernetes' own end-to-end tests against dist/k3ts: those of 1.20, the newest whose source Debian 12 has. As root on Debian 12:
#
#   test/upstream/run.sh                                             conformance tests of API machinery
#   test/upstream/run.sh '\[sig-auth\].*\[Conformance\]' [SKIP]      others, by ginkgo's patterns
#
# The first run fetches 35 MB of source and compiles for about ten minutes. docs/conformance.md says how to read the outcome.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/prepare.sh
. scripts/prepare.sh
[ -x dist/k3ts ] || { echo "build first: npm run build" >&2; exit 1; }
prepare_packages golang-go busybox-static etcd-server
prepare_node
dir=${K3TS_UPSTREAM_DIR:-/var/tmp/k3ts-upstream}
tree=$dir/gopath/src/k8s.io/kubernetes
export GOPATH=$dir/gopath GOCACHE=$dir/gocache GO111MODULE=off GOFLAGS= GOPROXY=off CGO_ENABLED=0

# The source package, by the same lists of packages that this machine is set up with.
fetch_source() {
  mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/apt/parts" "$tree"
  sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$dir/apt/parts/source.sources"
  local options=(-qq -o "Dir::Etc::sourceparts=$dir/apt/parts" -o Dir::Etc::sourcelist=/dev/null
    -o "Dir::State::lists=$dir/apt/lists" -o "Dir::Cache=$dir/apt/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$dir" && apt-get "${options[@]}" source --download-only kubernetes)
  tar -xzf "$dir"/kubernetes_*.orig.tar.gz -C "$tree" --strip-components 1
}

# Files that upstream embeds, as hack/generate-bindata.sh makes them.
embed() {
  local bindata=("$dir/go-bindata" -nometadata -ignore '.jpg' -ignore '.png' -ignore '.md' -ignore 'BUILD(\.bazel)?' -pkg generated)
  go build -o "$dir/go-bindata" ./vendor/github.com/go-bindata/go-bindata/go-bindata
  "${bindata[@]}" -o test/e2e/generated/bindata.go test/conformance/testdata/... test/e2e/testing-manifests/... \
    test/e2e_node/testing-manifests/... test/images/... test/fixtures/...
  "${bindata[@]}" -nocompress -o staging/src/k8s.io/kubectl/pkg/generated/bindata.go translations/...
}

# Since 1.24 service accounts have no secrets of their own, for which these tests would wait.
accept_1_24() {
  sed -i 's/len(t.Secrets) > 0/t.Name != ""/' test/e2e/framework/util.go
}

if [ ! -x "$dir/e2e.test" ]; then
  echo "==> fetching the source"
  fetch_source
  echo "==> compiling (about ten minutes)"
  (
    cd "$tree"
    embed
    accept_1_24
    go build -o "$dir/agnhost" ./test/images/agnhost
    go build -o "$dir/sample-apiserver" ./vendor/k8s.io/sample-apiserver
    go test -vet=off -ldflags='-s -w' -c -o "$dir/e2e.test" ./test/e2e
  )
fi
exec node test/upstream/run.ts "$dir" "${1:-\[sig-api-machinery\].*\[Conformance\]}" "${2:-Slow|Disruptive}"
