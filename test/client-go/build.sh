#!/bin/sh
# Builds the programs (one a folder with a main.go) into the folder $1. Prints nothing but errors.
set -eu
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")"
export GOFLAGS="${GOFLAGS:-} -mod=readonly"
go build -p "${GO_BUILD_JOBS:-1}" -ldflags "-s -w" -o "$out/" ./informer ./etcd-history ./listdiff \
  ./etcd-write ./gunzip ./watchers ./stream ./pager ./api-errors ./controller-cache ./discover ./controller ./streams
