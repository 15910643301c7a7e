#!/usr/bin/env bash
# Makes a base image of Debian's own packages, for machines that reach a Debian mirror but no registry of images.
#
#   examples/container/debian_base.sh [SUITE]                # debian-python:trixie, with Python 3.13
#   CONTAINER_TOOL=podman examples/container/debian_base.sh
#
# Needs root and debootstrap.
set -euo pipefail
suite=${1:-trixie}
read -ra tool <<< "${CONTAINER_TOOL:-docker}"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3,python3-venv "$suite" "$root"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar --create --directory "$root" . | "${tool[@]}" import - "debian-python:$suite"
