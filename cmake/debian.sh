#!/bin/sh
# From a bare Debian 12 (root or sudo, a package mirror) to a running program:
#
#   sh cmake/debian.sh quickstart          installs what is needed, builds the example quickstart and runs it
#   sh cmake/debian.sh test                installs what is needed, builds everything and runs all tests
#   sh cmake/debian.sh install PACKAGE...  only installs
#
# Packages that are there already are left alone, and with nothing missing apt-get is not called. Elsewhere, install the
# same things in your own way and call cmake --workflow --preset default.
# shellcheck disable=SC2086 # $core and $missing are lists of words
set -eu
cd "$(dirname "$0")/.."

install_missing() {
  missing=
  for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || :)
    [ "$status" = installed ] || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0

  if [ "$(id -u)" -eq 0 ]; then
    root=
  elif command -v sudo >/dev/null; then
    root=sudo
  else
    echo "to be installed by root:$missing" >&2
    exit 1
  fi
  $root apt-get update
  $root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}

core="cmake ninja-build g++ libeigen3-dev libxsimd-dev"
CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
CTEST_PARALLEL_LEVEL=${CTEST_PARALLEL_LEVEL:-$(nproc)}
export CMAKE_BUILD_PARALLEL_LEVEL CTEST_PARALLEL_LEVEL

case ${1-} in
  quickstart)
    install_missing $core
    cmake --workflow --preset quickstart
    echo
    build/quickstart/examples/quickstart
    ;;
  test)
    install_missing $core doctest-dev nlohmann-json3-dev libminizip-dev zlib1g-dev libbenchmark-dev
    cmake --workflow --preset default
    ;;
  install)
    shift
    install_missing "$@"
    ;;
  *)
    echo "usage: sh cmake/debian.sh quickstart | test | install PACKAGE..." >&2
    exit 2
    ;;
esac
