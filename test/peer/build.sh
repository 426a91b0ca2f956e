#!/bin/sh
# Builds peer, load, bench, encrypt, kms-plugin and webhooks into the folder $1. Prints nothing but errors.
set -eu
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
v=k8s.io/component-base/version
export GOFLAGS="${GOFLAGS:-} -mod=readonly"
version=$(go list -m -f '{{.Version}}' k8s.io/apiserver)
minor=${version#v0.}
go build -p "${GO_BUILD_JOBS:-1}" -ldflags "-s -w -X $v.gitVersion=v1.$minor -X $v.gitMajor=1 -X $v.gitMinor=${minor%%.*}" -o "$out/peer" .
go build -p "${GO_BUILD_JOBS:-1}" -ldflags "-s -w" -o "$out/" ./load ./bench ./encrypt ./kms-plugin ./webhooks
