#!/usr/bin/env bash
# The device install on aarch64: a Debian 12 for arm64 under qemu, the aarch64 wheels, and its labels beside this machine's.
#
#   benchmarks/device_install/aarch64.sh OUT BUNDLE SCAN
#   ENGINES="onnxruntime openvino" PRECISIONS=fp32 benchmarks/device_install/aarch64.sh OUT BUNDLE SCAN
#
# Needs root, debootstrap and qemu-user-static on an x86-64 Debian or Ubuntu, and `bedside` and `python3` on PATH for this
# machine's side. qemu is registered in a user namespace of its own, so nothing has to be cleaned up on the host.
# OUT receives the file system (1 GB) and both label maps.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(realpath "$1") bundle=$(realpath "$2") scan=$(realpath "$3")
root=$out/root
read -ra precisions <<< "${PRECISIONS:-fp32 int8}"
read -ra engines <<< "${ENGINES:-onnxruntime}"

if [ ! -x "$root/usr/bin/python3" ]; then
    debootstrap --foreign --arch=arm64 --variant=minbase --include=python3,python3-venv bookworm "$root"
    # The packages are only unpacked: nothing here needs them configured, which takes minutes under emulation.
    for package in "$root"/var/cache/apt/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink --no-same-owner
    done
    rm -f "$root/proc" && mkdir "$root/proc"
fi

# Runs its arguments inside the arm64 system. The core is the nearest to an Orin's Cortex-A78AE that Debian's qemu has.
emulated() {
    ROOT=$root unshare --user --map-root-user --mount --pid --fork bash -euc '
        mount -t proc proc "$ROOT/proc"
        mount --bind "$ROOT/bedside/cpuinfo" "$ROOT/proc/cpuinfo"
        mount --rbind /dev "$ROOT/dev"
        mount --rbind /sys "$ROOT/sys"
        mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
        elf="\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
        mask="\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
        echo ":aarch64:M::$elf:$mask:$(command -v qemu-aarch64-static):F" > /proc/sys/fs/binfmt_misc/register
        exec chroot "$ROOT" /usr/bin/env -i PATH=/usr/bin HOME=/root LANG=C.UTF-8 QEMU_CPU=cortex-a76 "$@"
    ' emulated "$@"
}

wheels=$root/bedside/wheels
rm -rf "$root/bedside" && mkdir -p "$wheels"
cp -r "$bundle" "$root/bedside/bundle"
cp "$scan" "$root/bedside/scan.nii.gz"
cp "$here/device_commands.py" "$root/bedside"
# qemu passes the host's /proc/cpuinfo through; this is what the kernel writes there on a Cortex-A76.
for core in 0 1; do
    printf '%s\t: %s\n' processor $core Features \
        'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp' \
        'CPU implementer' 0x41 'CPU architecture' 8 'CPU variant' 0x4 'CPU part' 0xd0b 'CPU revision' 1
    echo
done > "$root/bedside/cpuinfo"
wheel=$(python3 "$here/build_wheel.py" "$wheels")
platforms=(--platform manylinux2014_aarch64)
for minor in {17..36}; do platforms+=(--platform "manylinux_2_${minor}_aarch64"); done # Debian 12 has glibc 2.36
python3 -m pip download --quiet --only-binary=:all: --implementation cp --python-version 3.11 "${platforms[@]}" \
    --dest "$wheels" "$wheel[openvino]"

emulated python3 -m venv /bedside/venv
bin=/bedside/venv/bin
emulated $bin/pip install --quiet --no-index --find-links /bedside/wheels bedside
emulated $bin/python -c 'import platform, sys; print(platform.machine(), sys.version)'
emulated $bin/python /bedside/device_commands.py $bin/bedside /bedside/bundle /bedside/scan.nii.gz /bedside/labels.nii.gz
emulated $bin/pip install --quiet --no-index --find-links /bedside/wheels 'bedside[openvino]'
emulated $bin/pip list --format=freeze

verdict=0
for engine in "${engines[@]}"; do
    for precision in "${precisions[@]}"; do
        options=(--engine "$engine" --precision "$precision" --quiet)
        emulated $bin/bedside segment /bedside/bundle -i /bedside/scan.nii.gz -o /bedside/labels.nii.gz "${options[@]}" ||
            [ $? -eq 6 ]
        bedside segment "$bundle" -i "$scan" -o "$out/here.nii.gz" "${options[@]}" || [ $? -eq 6 ]
        mv "$root/bedside/labels.nii.gz" "$out/emulated.nii.gz"
        # The same float32 kernels have to give the same labels; int8 rounds, and OpenVINO has other kernels on Arm.
        share=0.0001
        [ "$engine $precision" = "onnxruntime fp32" ] && share=0
        echo -n "$engine $precision, aarch64 against $(uname -m): "
        python3 "$here/same_labels.py" "$out/emulated.nii.gz" "$out/here.nii.gz" "$share" || verdict=1
    done
done
exit $verdict
