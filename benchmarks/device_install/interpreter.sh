#!/usr/bin/env bash
# The device install under one Python: every command, then the tests of what runs on a device.
#
#   benchmarks/device_install/interpreter.sh OUT BUNDLE SCAN PYTHON             what pip chooses today
#   benchmarks/device_install/interpreter.sh OUT BUNDLE SCAN PYTHON --lowest    the oldest versions that pyproject.toml allows
#
# OUT receives the virtual environment and the label map.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
mkdir -p "$1"
out=$(realpath "$1") bundle=$(realpath "$2") scan=$(realpath "$3") python=$4 lowest=${5:-}
export PYTHONDONTWRITEBYTECODE=1

rm -rf "$out/venv"
"$python" -m venv "$out/venv"
bin=$out/venv/bin
wheel=$("$bin/python" "$here/build_wheel.py" "$out/wheel")
: > "$out/constraints.txt"
if [ "$lowest" = --lowest ]; then
    sed -n '/^dependencies = \[/,/^\]/p; /^openvino = /p' "$repository/pyproject.toml" |
        grep -oE '[a-z]+>=[0-9.]+' | sed 's/>=/==/' > "$out/constraints.txt"
fi
"$bin/pip" install --quiet --constraint "$out/constraints.txt" "$wheel"
"$bin/python" --version
"$bin/pip" list --format=freeze | grep -iE '^(numpy|nibabel|onnxruntime|msgspec|typer)='

cd "$out"
"$bin/python" "$here/device_commands.py" "$bin/bedside" "$bundle" "$scan" "$out/labels.nii.gz"

"$bin/pip" install --quiet --constraint "$out/constraints.txt" "$wheel[openvino]" pytest hypothesis onnx scipy
"$bin/pip" list --format=freeze | grep -iE '^(openvino|onnx|scipy)='
cd "$repository"
# Tests that compare with torch or MONAI need the training install.
mapfile -t without_torch < <(grep -LrE --include='test_*.py' '^(from|import) (torch|monai)' tests/runtime tests/devices)
"$bin/python" -m pytest -q -p no:cacheprovider --durations=0 --durations-min=30 -k 'not monai' "${without_torch[@]}"
