"""What is fuzzed: one function per parser, from bytes to nothing.

Each lets through the errors its parser documents and nothing else; whatever else it raises is a finding. The seeds are
small valid inputs to start from. Driven by `test_fuzz.py` (hypothesis) and `run.py` (atheris).
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import msgspec
import nibabel as nib
import numpy as np
from bedside.devices.cpu import parse_cpuinfo
from bedside.devices.jetson import parse_l4t, parse_power_mode
from bedside.devices.tegrastats import parse_tegrastats
from bedside.dicom import list_series, open_series
from bedside.runtime import (
    BedsideError,
    Bundle,
    BundleError,
    InputError,
    ResourceError,
    load_task,
    read_labels,
    read_volume,
)
from bedside.runtime.bundles.bundle_zip import extract
from bedside.runtime.bundles.manifest import CHECKSUM_NAME, MANIFEST_NAME, checksum_line, decode_manifest
from bedside.runtime.engines.onnx_guard import check_no_external_data
from bedside.runtime.memory.cgroup import read_limits
from bedside.runtime.scans.byte_stream import ByteStream
from bedside.runtime.scans.scan import Scan
from bedside.runtime.task_presets import PRESETS
from bedside.training.data.dataset import load_dataset
from bedside.training.data.nnunet_splits import read_splits
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

_UNPACKED_LIMIT = 1 << 20  # bytes a zip may unpack to while it is fuzzed
_FOLDER = tempfile.TemporaryDirectory(prefix="bedside-fuzz-")


@dataclass(frozen=True)
class Target:
    """A parser to fuzz.

    Attributes:
        one_input: feeds it; raises nothing, or there is a finding.
        seeds: makes small valid inputs.
    """

    one_input: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def nifti(data: bytes) -> None:
    path = _file("x.nii", data)
    for read in (read_volume, read_labels):
        try:
            volume = read(path)
        except (InputError, ResourceError):
            continue
        assert volume.data.shape == volume.grid.shape
        assert np.isfinite(volume.data).all()
        assert abs(np.linalg.det(volume.grid.affine[:3, :3])) > 0


def dicom(data: bytes) -> None:
    """One file, or a file of a series of which the other slice is sound."""
    (folder := Path(_FOLDER.name) / "series").mkdir(exist_ok=True)
    (folder / "IM0").write_bytes(_dicom_seeds()[0])
    (folder / "IM1").write_bytes(data)
    for path in (folder / "IM1", folder):
        try:
            list_series(path)
            series = open_series(path)
            volume = Scan(series).load()
        except (InputError, ResourceError):
            continue
        assert volume.data.shape == series.grid.shape
        assert np.isfinite(volume.data).all()


def gzip_stream(data: bytes) -> None:
    with suppress(InputError), ByteStream(_file("x.gz", data)) as stream:
        stream.check_room(100)
        stream.skip(1 << 20)
        stream.finish()


def manifest(data: bytes) -> None:
    try:
        read = decode_manifest(data)
    except BundleError:
        return
    assert decode_manifest(read.encoded()) == read


def bundle_folder(data: bytes) -> None:
    """A forger's: its checksum fits, so everything `bundle.json` says is believed until it is found wrong."""
    (folder := Path(_FOLDER.name) / "folder").mkdir(exist_ok=True)
    (folder / MANIFEST_NAME).write_bytes(data)
    (folder / CHECKSUM_NAME).write_bytes(checksum_line(data))
    (folder / "model.onnx").write_bytes(b"abc")
    with suppress(BundleError), Bundle.open(folder) as bundle:
        assert all(str(bundle.file(name).resolve()).startswith(str(folder)) for name in bundle.manifest.files)
        for name in bundle.manifest.files:
            with suppress(BundleError):
                bundle.read(name)
        for variant in bundle.manifest.variants:
            with suppress(BundleError):
                bundle.model(variant)()


def bundle_zip(data: bytes) -> None:
    archive = _file("x.zip", data)
    with tempfile.TemporaryDirectory(dir=_FOLDER.name) as outside:
        target = Path(outside) / "inside"
        target.mkdir()
        with suppress(BundleError, ResourceError):
            extract(archive, target, _UNPACKED_LIMIT)
        assert [path.name for path in Path(outside).iterdir()] == ["inside"]
        unpacked = [path for path in target.rglob("*") if not path.is_dir()]
        assert not any(path.is_symlink() for path in unpacked)
        assert sum(path.stat().st_size for path in unpacked) <= _UNPACKED_LIMIT


def onnx_guard(data: bytes) -> None:
    with suppress(BundleError):
        check_no_external_data(data)


def task_toml(data: bytes) -> None:
    try:
        task = load_task(_file("task.toml", data))
    except BedsideError:
        return
    assert task.num_classes == len(task.labels) >= 2


def tegrastats(data: bytes) -> None:
    for line in data.decode(errors="replace").splitlines():
        sample = parse_tegrastats(line)
        if sample is not None:
            assert sample.total_milliwatts is None or sample.total_milliwatts >= 0


def machine_files(data: bytes) -> None:
    """Five files of /proc and /sys in one input, parted by form feeds."""
    names = ("proc/self/cgroup", "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.stat")
    root = Path(_FOLDER.name) / "root"
    parts = data.split(b"\f")
    for name, part in zip(names, [*parts, b"", b"", b"", b""], strict=False):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(part)
    limits = read_limits(root)
    assert limits.cpus is None or limits.cpus > 0
    assert limits.memory_free is None or limits.memory_free >= 0
    text = parts[-1].decode(errors="replace")
    assert parse_cpuinfo(text).logical_cores >= 1
    parse_l4t(text)
    parse_power_mode(text)


def splits(data: bytes) -> None:
    with suppress(BedsideError):
        read_splits(_file("splits_final.json", data))


def dataset_list(data: bytes) -> None:
    with suppress(BedsideError):
        load_dataset(_file("dataset.json", data))


def _file(name: str, data: bytes) -> Path:
    path = Path(_FOLDER.name) / name
    path.write_bytes(data)
    return path


def _nifti_seeds() -> list[bytes]:
    data = np.arange(24).reshape(4, 3, 2)
    return [
        kind(data.astype(dtype), np.diag([0.8, 0.9, 2.5, 1])).to_bytes()
        for kind, dtype in ((nib.Nifti1Image, np.int16), (nib.Nifti1Image, np.float32), (nib.Nifti2Image, np.uint8))
    ]


@cache
def _dicom_seeds() -> list[bytes]:
    """A slice, the slice above it compressed and without value representations, and a multi-frame file."""
    spec = spec_from_file_location("written_series", Path(__file__).parents[1] / "dicom" / "written_series.py")
    assert spec is not None
    assert spec.loader is not None
    written = module_from_spec(spec)
    spec.loader.exec_module(written)
    folder = Path(_FOLDER.name) / "seeds"
    plain = written.write_series(folder / "plain")
    compressed = written.write_series(folder / "rle", change=lambda made, _: made.compress(RLELossless))
    implicit = written.write_series(
        folder / "implicit", change=lambda made, _: setattr(made.file_meta, "TransferSyntaxUID", ImplicitVRLittleEndian)
    )
    several = written.write_enhanced(folder / "several.dcm")
    return [file.read_bytes() for file in (plain[0], plain[1], compressed[1], implicit[1], several)]


def _gzip_seeds() -> list[bytes]:
    import gzip

    whole = gzip.compress(bytes(range(100)), mtime=0)
    return [whole, whole + bytes(8) + whole, gzip.compress(bytes(4000), 0, mtime=0)]


def _manifest_seeds() -> list[bytes]:
    task = msgspec.to_builtins(PRESETS["btcv"])
    depth = list(reversed(task["patch"]))
    fields = {
        "schema_version": 1,
        "task": task,
        "variants": [{"precision": "fp32", "engine": "onnxruntime", "file": "model.onnx", "dice": {"liver": 0.9}}],
        "input": {"name": "image", "shape": ["batch", 1, *depth]},
        "output": {"name": "logits", "shape": ["batch", len(task["labels"]), *depth]},
        "recommended_overlap": 0.25,
        "overlap_reason": "seed",
        "provenance": {"code_version": "0", "created": "2026-01-01T00:00:00Z", "student": "seed"},
        "licence": "Apache-2.0",
        "intended_use": "Tests.",
        "files": {"model.onnx": {"size": 3, "sha256": "0" * 64}},
    }
    return [json.dumps(fields).encode()]


def _folder_seeds() -> list[bytes]:
    honest = hashlib.sha256(b"abc").hexdigest().encode()
    return [seed.replace(b"0" * 64, honest) for seed in _manifest_seeds()]


def _zip_seeds() -> list[bytes]:
    seeds: list[bytes] = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(buffer := io.BytesIO(), "w", method) as archive:
            archive.writestr("toy/bundle.json", "{}" * 20)
            archive.writestr("toy/openvino/model.bin", bytes(50))
        seeds.append(buffer.getvalue())
    return seeds


def _onnx_seeds() -> list[bytes]:
    tensor = _field(1, b"\x03") + _field(8, b"weight") + _field(9, struct.pack("<3f", 1, 2, 3))
    external = tensor + b"\x70\x01" + _field(13, _field(1, b"location") + _field(2, b"../x"))
    node = _field(1, b"image") + _field(4, b"Conv") + _field(5, _field(1, b"value") + _field(5, tensor))
    return [
        b"\x08\x09" + _field(7, _field(1, node) + _field(2, b"toy") + _field(5, weight))
        for weight in (tensor, external)
    ]


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def _task_seeds() -> list[bytes]:
    return [
        b'name = "t"\nmodality = "CT"\nlabels = ["background", "liver"]\nspacing = [1.5, 1.5, 2.0]\n'
        b"patch = [96, 96, 96]\n[intensity]\nclip = [-175.0, 250.0]\nscale_to = [0.0, 1.0]\n"
    ]


def _tegrastats_seeds() -> list[bytes]:
    return [
        b"07-25-2026 09:08:28 RAM 20642/62817MB (lfb 1x2MB) SWAP 0/1982MB (cached 0MB) CPU [23%@2201,off] "
        b"GR3D_FREQ 12%@[1300,1300] gpu@47.625C PMIC@100C VDD_GPU_SOC 5139mW/5139mW/5139mW",
        b"RAM 331/3964MB (lfb 758x4MB) CPU [3%@102,1%@102] GR3D_FREQ 7%@76 CPU@23.5C POM_5V_IN 933/933",
    ]


def _machine_seeds() -> list[bytes]:
    return [
        b"0::/group\n\f150000 100000\n\f1073741824\n\finactive_file 4096\n\f"
        b"processor\t: 0\nmodel name\t: A\nphysical id\t: 0\ncore id\t: 0\nflags\t: avx2 fma\n",
        b"4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n\fmax 100000\n\fmax\n\f\f"
        b"processor\t: 0\nFeatures\t: asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n"
        b"# R36 (release), REVISION: 4.3,",
    ]


def _dataset_seeds() -> list[bytes]:
    cases = [{"image": "./a.nii.gz", "label": "./b.nii.gz", "fold": 0}, "c.nii.gz"]
    labels = {"0": "background", "1": "liver"}
    lists = {"name": "d", "labels": labels, "training": cases, "test": ["d.nii.gz"]}
    nnunet = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    listed = nnunet | {"dataset": {"a": {"images": ["a.nii.gz"], "label": "b.nii.gz"}}}
    decathlon = lists | {"modality": {"0": "CT"}, "numTraining": 2, "tensorImageSize": "3D"}
    elsewhere = nnunet | {"dataset": {"a": {"images": ["${nnUNet_raw}/a.nii.gz"], "label": "../b.nii.gz"}}}
    further = lists | {"unlabeled": ["e.nii.gz"], "training": [cases[0], {"image": ["f.nii.gz"], "t2": "g.nii.gz"}]}
    return [json.dumps(content).encode() for content in (lists, nnunet, listed, decathlon, elsewhere, further)]


def _splits_seeds() -> list[bytes]:
    return [json.dumps([{"train": ["a", "b"], "val": ["c"]}, {"train": ["c"], "val": ["a"]}]).encode()]


TARGETS = {
    "nifti": Target(nifti, _nifti_seeds),
    "dicom": Target(dicom, _dicom_seeds),
    "gzip_stream": Target(gzip_stream, _gzip_seeds),
    "manifest": Target(manifest, _manifest_seeds),
    "bundle_folder": Target(bundle_folder, _folder_seeds),
    "bundle_zip": Target(bundle_zip, _zip_seeds),
    "onnx_guard": Target(onnx_guard, _onnx_seeds),
    "task_toml": Target(task_toml, _task_seeds),
    "tegrastats": Target(tegrastats, _tegrastats_seeds),
    "machine_files": Target(machine_files, _machine_seeds),
    "dataset_list": Target(dataset_list, _dataset_seeds),
    "splits": Target(splits, _splits_seeds),
}
