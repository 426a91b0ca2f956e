#!/bin/sh
# Builds the components of a control plane as one program into the folder $1. Prints nothing but errors.
set -eu
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
export GOFLAGS="${GOFLAGS:-} -mod=readonly"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=$(echo "$version" | cut -d. -f2)
package=k8s.io/component-base/version
go build -p "${GO_BUILD_JOBS:-1}" -o "$out/kubernetes" \
  -ldflags "-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor" .
go build -p "${GO_BUILD_JOBS:-1}" -o "$out/kubelet-streams" -ldflags "-s -w" ./kubelet
