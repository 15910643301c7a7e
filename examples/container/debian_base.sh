#!/usr/bin/env bash
# Makes a base image of Debian's own packages, for machines that reach a Debian mirror but no registry of images.
#
#   examples/container/debian_base.sh [SUITE [ARCHITECTURE]]  # debian-python:trixie, with Python 3.13
#   examples/container/debian_base.sh trixie arm64            # debian-python:trixie-arm64
#   CONTAINER_TOOL=podman examples/container/debian_base.sh
#
# Needs root and debootstrap. Of another architecture than the machine's the packages are only unpacked: none is configured,
# and dpkg lists none. That takes no emulation, and is enough for Python.
set -euo pipefail
suite=${1:-trixie}
here=$(dpkg --print-architecture)
architecture=${2:-$here}
read -ra tool <<< "${CONTAINER_TOOL:-docker}"
name=debian-python:$suite
platform=() kind=()
if [ "$architecture" != "$here" ]; then
    name+=-$architecture kind=(--foreign)
    # Docker and Podman have no option in common that says which architecture an imported file system is of.
    case $(basename "${tool[0]}") in
        podman) platform=(--os linux --arch "$architecture") ;;
        *) platform=(--platform "linux/$architecture") ;;
    esac
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap "${kind[@]}" --arch="$architecture" --variant=minbase --include=python3,python3-venv "$suite" "$root"
if [ "$architecture" != "$here" ]; then
    # Where debootstrap itself runs in a container, it leaves a link for the folder that base-files brings.
    [ ! -L "$root/proc" ] || rm "$root/proc"
    for package in "$root"/var/cache/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar --extract --directory "$root" --keep-directory-symlink
    done
    # What configuring base-passwd would do: without root and its group, no user can be added.
    for each in passwd group; do cp "$root/usr/share/base-passwd/$each.master" "$root/etc/$each"; done
    rm -rf "$root/debootstrap"
fi
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
tar --create --directory "$root" . | "${tool[@]}" import "${platform[@]}" - "$name"
