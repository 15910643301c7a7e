"""Bundle folders made to do harm. Each maker alters a good bundle beside a folder `outside` it must not touch."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from bedside.runtime import write_manifest
from bedside.runtime.bundles.manifest import CHECKSUM_NAME, MANIFEST_NAME, checksum_line, decode_manifest
from onnx import TensorProto, helper

Maker = Callable[[Path, Path], None]


def forge(bundle: Path, change: Callable[[dict], object]) -> None:
    """Alters bundle.json and its checksum alike."""
    fields = json.loads((bundle / MANIFEST_NAME).read_bytes())
    change(fields)
    put_manifest(bundle, json.dumps(fields).encode())


def put_manifest(bundle: Path, content: bytes) -> None:
    (bundle / MANIFEST_NAME).write_bytes(content)
    (bundle / CHECKSUM_NAME).write_bytes(checksum_line(content))


def signed_again(bundle: Path) -> None:
    """Makes all hashes right: the forger has written the manifest anew."""
    write_manifest(bundle, decode_manifest((bundle / MANIFEST_NAME).read_bytes()))


def listing(name: str) -> Maker:
    """The manifest lists a file of this name as well."""
    entry = {"size": 7, "sha256": "0" * 64}
    return lambda bundle, _: forge(bundle, lambda fields: fields["files"].update({name: entry}))


def saying(**changes: object) -> Maker:
    return lambda bundle, _: forge(bundle, lambda fields: fields.update(changes))


def replaced_by_link(name: str) -> Maker:
    def make(bundle: Path, outside: Path) -> None:
        target = outside / Path(name).name
        shutil.move(bundle / name, target)
        (bundle / name).symlink_to(target)

    return make


def linked(bundle: Path, outside: Path) -> None:
    (bundle / "openvino").symlink_to(outside)


def dangling(bundle: Path, outside: Path) -> None:
    (bundle / "notes.md").symlink_to(outside / "nothing")


def hard_link(bundle: Path, outside: Path) -> None:
    (bundle / "README.md").unlink()
    os.link(outside / "canary", bundle / "README.md")


def fifo(bundle: Path, _: Path) -> None:
    (bundle / "README.md").unlink()
    os.mkfifo(bundle / "README.md")


def listening_socket(bundle: Path, outside: Path) -> None:
    here = Path.cwd()
    os.chdir(bundle)  # a socket's path holds 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("notes.md")
    finally:
        os.chdir(here)


def unlisted(name: str) -> Maker:
    return lambda bundle, _: (bundle / name).write_bytes(b"print('hello')")


def listed_code(name: str) -> Maker:
    """Code or a pickle with the right size and hash."""

    def make(bundle: Path, outside: Path) -> None:
        import hashlib

        content = f"cos\nsystem\n(S'touch {outside}/pwned'\ntR.".encode()
        (bundle / name).write_bytes(content)
        entry = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        forge(bundle, lambda fields: fields["files"].update({name: entry}))

    return make


class _Runs:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self):
        return os.mkdir, (str(self._path),)


def golden(content: Callable[[Path], bytes]) -> Maker:
    def make(bundle: Path, outside: Path) -> None:
        (bundle / "golden_input.npy").write_bytes(content(outside))
        signed_again(bundle)

    return make


def pickled_array(outside: Path) -> bytes:
    np.save(buffer := io.BytesIO(), np.array([_Runs(outside / "pwned")], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def npy(header: str) -> Callable[[Path], bytes]:
    return lambda _: b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header.encode() + b"\n" + bytes(64)


def model(change: Callable[[onnx.ModelProto], object]) -> Maker:
    def make(bundle: Path, _: Path) -> None:
        altered = onnx.load(bundle / "model.fp32.onnx")
        change(altered)
        (bundle / "model.fp32.onnx").write_bytes(altered.SerializeToString())
        signed_again(bundle)

    return make


def raw_model(content: bytes) -> Maker:
    def make(bundle: Path, _: Path) -> None:
        (bundle / "model.fp32.onnx").write_bytes(content)
        signed_again(bundle)

    return make


def external(location: str) -> TensorProto:
    tensor = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def in_initializer(location: str) -> Maker:
    return model(lambda altered: altered.graph.initializer.append(external(location)))


def in_subgraph(altered: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "inner", [], [], [external("../outside/canary")])
    altered.graph.node.append(helper.make_node("If", ["image"], ["y"], then_branch=inner, else_branch=inner))


def openvino_form(xml: bytes, weights: bytes = bytes(64)) -> Maker:
    """The fp32 model for openvino is this IR."""

    def make(bundle: Path, _: Path) -> None:
        (bundle / "openvino").mkdir()
        (bundle / "openvino" / "model.xml").write_bytes(xml)
        (bundle / "openvino" / "model.bin").write_bytes(weights)
        own = {"precision": "fp32", "engine": "openvino", "file": "openvino/model.xml"}
        forge(bundle, lambda fields: fields["variants"].insert(0, own))
        signed_again(bundle)

    return make


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "' + b"ha" * 5000 + b'"><!ENTITY b "' + b"&a;" * 5000 + b'">'
    b'<!ENTITY c SYSTEM "file:///etc/passwd">]><net name="&b;&c;" version="11"><layers>&b;&c;</layers></net>'
)
FAR_WEIGHTS = (
    b'<?xml version="1.0"?><net name="n" version="11"><layers><layer id="0" name="w" type="Const" version="opset1">'
    b'<data element_type="f32" shape="1099511627776" offset="-8" size="4398046511104"/><output><port id="0" '
    b'precision="FP32"><dim>1099511627776</dim></port></output></layer></layers><edges/></net>'
)
DEEP = b'{"schema_version": 1, "task": ' + b"[" * 400_000 + b"]" * 400_000 + b"}"

FOLDERS: dict[str, Maker] = {
    **{f"{name} is a link": replaced_by_link(name) for name in ("README.md", "model.fp32.onnx", MANIFEST_NAME)},
    "a folder is a link": linked,
    "a link to nothing": dangling,
    "a hard link to another file": hard_link,
    "a pipe": fifo,
    "a socket": listening_socket,
    "code beside": unlisted("sitecustomize.py"),
    "a hidden file beside": unlisted(".hidden"),
    **{
        f"lists {name!a}": listing(name)
        for name in (
            "../outside/canary", "/etc/passwd", "a/../../outside/canary", "..\\outside\\canary", "C:\\x.md", "x:y.md",
            "", ".", "..", "a//b.md", "./README.md", "README.md/", "README.md\0.md", "README.md.", "README.md ",
            "cod\u202edm.exe", "R\u0415ADME.md", "a\u200b.md", "a\uff0fb.md", "\x1b[2Ja.md", "a\nb.md", MANIFEST_NAME,
        )
    },
    **{f"lists {name}": listed_code(name) for name in ("w.pkl", "m.pt", "m.pth", "run.py", "e.so", "m.engine", "run")},
    "a pickled golden patch": golden(pickled_array),
    "a golden patch of terabytes": golden(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,)}")),
    "a golden patch that is code": golden(npy("{'descr': __import__('os').system('true'), 'shape': (1,)}")),
    "a golden patch nested deep": golden(npy("(" * 30_000)),
    "weights outside": in_initializer("../outside/canary"),
    "weights at an absolute path": in_initializer("/etc/passwd"),
    "weights in a file of the bundle": in_initializer("README.md"),
    "weights outside, in a subgraph": model(in_subgraph),
    "no ONNX at all": raw_model(b"\x80\x04\x95pickle"),
    "an ONNX that never ends": raw_model(b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
    "an operator of somebody's library": model(lambda altered: setattr(altered.graph.node[0], "domain", "evil.so")),
    "entities in the XML": openvino_form(LAUGHS),
    "weights beyond the file": openvino_form(FAR_WEIGHTS),
    "a manifest of 2 MB": lambda bundle, _: put_manifest(bundle, b" " * 2_000_000),
    "a manifest nested deep": lambda bundle, _: put_manifest(bundle, DEEP),
    "another version": saying(schema_version=10**30),
    "an overlap that is no number": saying(recommended_overlap=float("nan")),
    "a patch of exabytes": lambda bundle, _: forge(bundle, lambda fields: fields["task"].update(patch=[2**20] * 3)),
    "a size that is negative": lambda bundle, _: forge(
        bundle, lambda fields: fields["files"]["README.md"].update(size=-1)
    ),
    "no checksum": lambda bundle, _: (bundle / CHECKSUM_NAME).unlink(),
}  # fmt: skip
