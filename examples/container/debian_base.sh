#!/usr/bin/env bash
# Makes a base image of Debian's own packages, for machines that reach a Debian mirror but no registry of images.
#
#   examples/container/debian_base.sh [SUITE [ARCHITECTURE]]  # debian-python:trixie, with Python 3.13
#   examples/container/debian_base.sh trixie arm64            # debian-python:trixie-arm64
#   CONTAINER_TOOL=podman examples/container/debian_base.sh
#
# Needs root and debootstrap; another architecture than the machine's needs qemu-user-static, registered for it.
set -euo pipefail
suite=${1:-trixie}
here=$(dpkg --print-architecture)
architecture=${2:-$here}
read -ra tool <<< "${CONTAINER_TOOL:-docker}"
name=debian-python:$suite
platform=()
if [ "$architecture" != "$here" ]; then
    name+=-$architecture
    # Docker and Podman have no option in common that says which architecture an imported file system is of.
    case $(basename "${tool[0]}") in
        podman) platform=(--os linux --arch "$architecture") ;;
        *) platform=(--platform "linux/$architecture") ;;
    esac
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --arch="$architecture" --variant=minbase --include=python3,python3-venv "$suite" "$root"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar --create --directory "$root" . | "${tool[@]}" import "${platform[@]}" - "$name"
