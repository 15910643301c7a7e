"""`bedside devices probe`: the file that it writes, and the files that it leaves alone."""

from __future__ import annotations

import json

import pytest
from bedside.cli.devices.probe import Probe
from bedside.cli.main import run
from bedside.runtime import ResourceError

from ..printed import run_alone


def test_a_probe_is_written_and_shown_in_80_columns(tmp_path, monkeypatch):
    from bedside.devices.probe import probe
    from bedside.devices.probe.kernels import Kernel
    from bedside.devices.probe.results import PROBE_MARKS, read_probe
    from bedside.runtime.bundles.outputs import check_writable

    monkeypatch.setattr(probe, "KERNELS", (Kernel("conv", 8, 8, 16), Kernel("conv", 8, 8, 16, quantized=True)))
    output = tmp_path / "probe.json"
    stdout, _ = run_alone(Probe, "-o", str(output), "--seconds", "1", "--threads", "1")
    written = read_probe(output)
    check_writable(output, ".json", marks=PROBE_MARKS)  # an earlier probe may be replaced
    assert {(each.engine, each.precision, each.threads) for each in written.series} >= {
        ("onnxruntime", "fp32", 1), ("onnxruntime", "int8", 1),
    }  # fmt: skip
    assert "onnxruntime" in stdout
    assert max(len(line) for line in stdout.splitlines()) <= 80


@pytest.mark.parametrize(
    ("name", "code"), [("ct.nii.gz", 2), ("dataset.json", 2), ("toy.bedside/probe.json", 2), ("nowhere/probe.json", 5)]
)
def test_a_probe_that_cannot_be_written_is_refused_before_the_kernels(tmp_path, monkeypatch, name, code):
    monkeypatch.setattr("bedside.devices.probe.probe.probe", lambda **_: pytest.fail("probed"))
    (tmp_path / "toy.bedside").mkdir()
    for file in ("bundle.json", "bundle.sha256"):
        (tmp_path / "toy.bedside" / file).touch()
    for there in ("ct.nii.gz", "dataset.json"):
        (tmp_path / there).write_bytes(b"a person's")
    assert run(["devices", "probe", "-o", str(tmp_path / name)]) == code
    for there in ("ct.nii.gz", "dataset.json"):
        assert (tmp_path / there).read_bytes() == b"a person's"


def test_a_probe_is_shown_though_its_file_cannot_be_written(tmp_path, monkeypatch, capsys):
    from ...devices.probe.probes import kernel, made_probe

    def full(*_):
        raise ResourceError("the disk is full")

    monkeypatch.setattr("bedside.devices.probe.probe.probe", lambda **_: made_probe(kernel("output", 8, 14, 8, 2e-3)))
    monkeypatch.setattr("bedside.devices.probe.results.write_probe", full)
    assert run(["devices", "probe", "-o", str(tmp_path / "p.json"), "--json"]) == 5
    out, error = capsys.readouterr()
    assert json.loads(out)["series"]
    assert "the disk is full" in error
