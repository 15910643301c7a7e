"""Small valid inputs of every parser that is fuzzed, to start from."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import msgspec
import nibabel as nib
import numpy as np
from bedside.devices.hardware.device_profile import FOLDER
from bedside.runtime.task_presets import PRESETS
from onnx import TensorProto, helper, numpy_helper
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from ..devices.probe.probes import made_probe
from ..dicom.written_series import write_enhanced, write_series


def nifti_seeds() -> list[bytes]:
    data = np.arange(24).reshape(4, 3, 2)
    return [
        kind(data.astype(dtype), np.diag([0.8, 0.9, 2.5, 1])).to_bytes()
        for kind, dtype in ((nib.Nifti1Image, np.int16), (nib.Nifti1Image, np.float32), (nib.Nifti2Image, np.uint8))
    ]


@cache
def dicom_seeds() -> list[bytes]:
    """A slice, the slice above it, plain and compressed and without value representations, and a multi-frame file."""

    def implicit(made: Dataset, _: int) -> None:
        made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian

    with tempfile.TemporaryDirectory(prefix="bedside-fuzz-") as name:
        folder = Path(name)
        first, second, *_ = write_series(folder / "plain")
        compressed = write_series(folder / "rle", change=lambda made, _: made.compress(RLELossless))[1]
        without = write_series(folder / "implicit", change=implicit)[1]
        several = write_enhanced(folder / "several.dcm")
        return [file.read_bytes() for file in (first, second, compressed, without, several)]


@cache
def upload_seeds() -> list[bytes]:
    """Zips of a DICOM series, stored and packed, and files that are no zip."""
    seeds: list[bytes] = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(buffer := io.BytesIO(), "w", method) as archive:
            for number, slice_bytes in enumerate(dicom_seeds()[:2]):
                archive.writestr(f"series/{number}", slice_bytes)
        seeds.append(buffer.getvalue())
    return [*seeds, nifti_seeds()[0], dicom_seeds()[-1]]


def gzip_seeds() -> list[bytes]:
    import gzip

    whole = gzip.compress(bytes(range(100)), mtime=0)
    return [whole, whole + bytes(8) + whole, gzip.compress(bytes(4000), 0, mtime=0)]


def manifest_seeds() -> list[bytes]:
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


def folder_seeds() -> list[bytes]:
    honest = hashlib.sha256(b"abc").hexdigest().encode()
    return [seed.replace(b"0" * 64, honest) for seed in manifest_seeds()]


def zip_seeds() -> list[bytes]:
    seeds: list[bytes] = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(buffer := io.BytesIO(), "w", method) as archive:
            archive.writestr("toy/bundle.json", "{}" * 20)
            archive.writestr("toy/openvino/model.bin", bytes(50))
        seeds.append(buffer.getvalue())
    return seeds


def onnx_seeds() -> list[bytes]:
    tensor = _field(1, b"\x03") + _field(8, b"weight") + _field(9, struct.pack("<3f", 1, 2, 3))
    external = tensor + b"\x70\x01" + _field(13, _field(1, b"location") + _field(2, b"../x"))
    node = _field(1, b"image") + _field(4, b"Conv") + _field(5, _field(1, b"value") + _field(5, tensor))
    return [
        b"\x08\x09" + _field(7, _field(1, node) + _field(2, b"toy") + _field(5, weight))
        for weight in (tensor, external)
    ]


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def task_seeds() -> list[bytes]:
    return [
        b'name = "t"\nmodality = "CT"\nlabels = ["background", "liver"]\nspacing = [1.5, 1.5, 2.0]\n'
        b"patch = [96, 96, 96]\n[intensity]\nclip = [-175.0, 250.0]\nscale_to = [0.0, 1.0]\n"
    ]


def node_seeds() -> list[bytes]:
    short = (
        b'[node]\nqueue = "q"\n[[peers]]\nname = "p"\nae_title = "P"\naddress = "127.0.0.1"\nport = 104\n'
        b'[[rules]]\nname = "r"\nbundle = "b"\nsend_to = ["p"]\nslice_distance_mm = [1, 5.5]\norientation = "axial"\n'
    )
    more = (
        b'[access]\nae_titles = ["A"]\naddresses = ["10.0.0.0/8", "::1"]\n[limits]\nmax_queue_gib = 1.5\n'
        b'[tls]\ncertificate = "c"\nkey = "k"\nauthority = "a"\n[engine]\nthreads = 2\n'
    )
    return [short, short + more]


def profile_seeds() -> list[bytes]:
    return [(FOLDER / f"{key}.toml").read_bytes() for key in ("orin-nano-8", "mini-pc")]


def cost_seeds() -> list[bytes]:
    made = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 6), helper.make_node("Relu", ["c"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2, 4, 4, 4])],
        [numpy_helper.from_array(np.ones((2, 1, 3, 3, 3), np.float32), "w")],
    )
    return [helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()]


def measurement_seeds() -> list[bytes]:
    window = {"mean_ms": 2.0, "p50_ms": 1.5, "p99_ms": 4.0}
    variants = [{"engine": "tensorrt", "precision": "fp32", "device": "GPU", "window": window}]
    host = {"cpu": {"model": "ARMv8"}, "profile": "orin-nano-8"}
    return [json.dumps({"task": "btcv", "patch": [128] * 3, "host": host, "variants": variants}).encode()]


def probe_seeds() -> list[bytes]:
    return [msgspec.json.encode(made_probe())]


def tegrastats_seeds() -> list[bytes]:
    return [
        b"07-25-2026 09:08:28 RAM 20642/62817MB (lfb 1x2MB) SWAP 0/1982MB (cached 0MB) CPU [23%@2201,off] "
        b"GR3D_FREQ 12%@[1300,1300] gpu@47.625C PMIC@100C VDD_GPU_SOC 5139mW/5139mW/5139mW",
        b"RAM 331/3964MB (lfb 758x4MB) CPU [3%@102,1%@102] GR3D_FREQ 7%@76 CPU@23.5C POM_5V_IN 933/933",
    ]


def machine_seeds() -> list[bytes]:
    return [
        b"0::/group\n\f150000 100000\n\f1073741824\n\finactive_file 4096\n\f"
        b"processor\t: 0\nmodel name\t: A\nphysical id\t: 0\ncore id\t: 0\nflags\t: avx2 fma\n",
        b"4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n\fmax 100000\n\fmax\n\f\f"
        b"processor\t: 0\nFeatures\t: asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n"
        b"# R36 (release), REVISION: 4.3,",
    ]


def dataset_seeds() -> list[bytes]:
    cases = [{"image": "./a.nii.gz", "label": "./b.nii.gz", "fold": 0}, "c.nii.gz"]
    labels = {"0": "background", "1": "liver"}
    lists = {"name": "d", "labels": labels, "training": cases, "test": ["d.nii.gz"]}
    nnunet = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    listed = nnunet | {"dataset": {"a": {"images": ["a.nii.gz"], "label": "b.nii.gz"}}}
    decathlon = lists | {"modality": {"0": "CT"}, "numTraining": 2, "tensorImageSize": "3D"}
    elsewhere = nnunet | {"dataset": {"a": {"images": ["${nnUNet_raw}/a.nii.gz"], "label": "../b.nii.gz"}}}
    further = lists | {"unlabeled": ["e.nii.gz"], "training": [cases[0], {"image": ["f.nii.gz"], "t2": "g.nii.gz"}]}
    return [json.dumps(content).encode() for content in (lists, nnunet, listed, decathlon, elsewhere, further)]


def splits_seeds() -> list[bytes]:
    return [json.dumps([{"train": ["a", "b"], "val": ["c"]}, {"train": ["c"], "val": ["a"]}]).encode()]
