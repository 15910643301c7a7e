"""What is fuzzed: one function per parser, from bytes to nothing.

Each lets through the errors its parser documents and nothing else; whatever else it raises is a finding. The seeds are
small valid inputs to start from. Driven by `test_fuzz.py` (hypothesis) and `run.py` (atheris).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bedside.devices.hardware.cpu import parse_cpuinfo
from bedside.devices.hardware.device_profile import load_profile
from bedside.devices.hardware.jetson import parse_l4t, parse_power_mode
from bedside.devices.planner.costs import model_cost
from bedside.devices.planner.measured import read_measured
from bedside.devices.planner.planned_model import PlannedModel
from bedside.devices.planner.roofline import OperatingPoint
from bedside.devices.probe.results import read_probe
from bedside.devices.sensors.tegrastats import parse_tegrastats
from bedside.dicom import list_series, open_series
from bedside.dicom.node.config import load_node_config
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
from bedside.service.intake import UPLOAD, opened
from bedside.service.scan_options import ScanOptions
from bedside.service.settings import Settings
from bedside.training.data.dataset import load_dataset
from bedside.training.data.nnunet_splits import read_splits

from . import seeds

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
    """Reads the input as a file alone, and as a slice beside a sound one of the same series."""
    (folder := Path(_FOLDER.name) / "series").mkdir(exist_ok=True)
    (folder / "IM0").write_bytes(seeds.dicom_seeds()[0])
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


def upload(data: bytes) -> None:
    """What a client posts: recognised, unpacked and opened within its folder, or refused."""
    with tempfile.TemporaryDirectory(dir=_FOLDER.name) as outside:
        (folder := Path(outside) / "job").mkdir()
        (folder / UPLOAD).write_bytes(data)
        try:
            scan = opened(folder, ScanOptions(), Settings(unpacked_bytes=_UNPACKED_LIMIT, files=50))
            read = Scan(scan).load() if not isinstance(scan, Path) else read_volume(scan)
            assert np.isfinite(read.data).all()
        except (InputError, ResourceError):
            pass
        assert [path.name for path in Path(outside).iterdir()] == ["job"]
        kept = [path for path in folder.rglob("*") if not path.is_dir()]
        assert not any(path.is_symlink() for path in kept)
        assert sum(path.stat().st_size for path in kept) <= _UNPACKED_LIMIT + len(data)


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


def node_toml(data: bytes) -> None:
    try:
        config = load_node_config(_file("node.toml", data))
    except BedsideError:
        return
    assert {name for rule in config.rules for name in rule.send_to} <= {peer.name for peer in config.peers}
    assert all(Path(rule.bundle).is_absolute() for rule in config.rules)
    assert isinstance(config.access.accepts("10.0.0.1"), bool)
    assert 0 <= config.node.port <= 65535
    assert 0 <= config.node.quiet_seconds < float("inf")


def device_profile(data: bytes) -> None:
    try:
        profile = load_profile(_file("device.toml", data))
    except BedsideError:
        return
    assert all(figure.value > 0 and profile.sources[figure.source] for figure in profile.figures.values())


def model_costs(data: bytes) -> None:
    try:
        cost = model_cost(data)
    except BundleError:
        return
    assert all(min(node.operations, node.read, node.written, node.parameters) >= 0 for node in cost.nodes)


def measurements(data: bytes) -> None:
    model = PlannedModel("a", PRESETS["btcv"], 0.5, {})
    try:
        measured = read_measured(
            _file("benchmark.json", data), load_profile("orin-nano-8"), OperatingPoint(None), [model]
        )
    except BedsideError:
        return
    times = [window.seconds for window in measured.windows.values()]
    assert all(0 < time.low <= time.predicted <= time.high < float("inf") for time in times)


def probe(data: bytes) -> None:
    try:
        found = read_probe(_file("probe.json", data))
    except BedsideError:
        return
    assert all(0 < kernel.seconds < float("inf") for each in found.series for kernel in each.kernels)


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


TARGETS = {
    "nifti": Target(nifti, seeds.nifti_seeds),
    "dicom": Target(dicom, seeds.dicom_seeds),
    "upload": Target(upload, seeds.upload_seeds),
    "gzip_stream": Target(gzip_stream, seeds.gzip_seeds),
    "manifest": Target(manifest, seeds.manifest_seeds),
    "bundle_folder": Target(bundle_folder, seeds.folder_seeds),
    "bundle_zip": Target(bundle_zip, seeds.zip_seeds),
    "onnx_guard": Target(onnx_guard, seeds.onnx_seeds),
    "task_toml": Target(task_toml, seeds.task_seeds),
    "node_toml": Target(node_toml, seeds.node_seeds),
    "device_profile": Target(device_profile, seeds.profile_seeds),
    "model_costs": Target(model_costs, seeds.cost_seeds),
    "measurements": Target(measurements, seeds.measurement_seeds),
    "probe": Target(probe, seeds.probe_seeds),
    "tegrastats": Target(tegrastats, seeds.tegrastats_seeds),
    "machine_files": Target(machine_files, seeds.machine_seeds),
    "dataset_list": Target(dataset_list, seeds.dataset_seeds),
    "splits": Target(splits, seeds.splits_seeds),
}
