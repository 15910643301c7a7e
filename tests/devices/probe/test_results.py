"""The probe's file: read as it was written, and refused in one line where it is not one."""

from __future__ import annotations

import json

import pytest
from bedside.devices.probe.results import read_probe, write_probe
from bedside.runtime.errors import InputError, ResourceError

from .probes import made_probe


def test_a_probe_reads_as_it_was_written(tmp_path):
    write_probe(tmp_path / "probe.json", made_probe())
    assert read_probe(tmp_path / "probe.json") == made_probe()


def test_a_probe_that_cannot_be_written_says_what_to_check(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(ResourceError, match=r"\(No space left on device\); check the folder, permissions"):
        write_probe(tmp_path / "probe.json", made_probe())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("version",), 2, "it is of version 2, this bedside reads version 1; probe the device again"),
        (("file",), "other", "got another JSON file"),
        (("series", 0, "kernels", 0, "seconds"), -1, r"seconds"),
        (("series", 0, "threads"), "two", r"`int`, got `str` - at `\$\.series\[0\]\.threads`"),
        (("host", "cpu"), None, r"\$\.host\.cpu"),
        (("nonsense",), 1, "unknown field"),
    ],
)
def test_a_probe_that_is_wrong_is_refused_with_file_and_field(tmp_path, place, value, reason):
    path = tmp_path / "probe.json"
    write_probe(path, made_probe())
    content = json.loads(path.read_text())
    inside = content
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf'(?i)^probe "probe\.json": .*{reason}') as refused:
        read_probe(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"file": 3}', "[" * 5000])
def test_what_is_no_probe_is_refused(tmp_path, content):
    (tmp_path / "probe.json").write_text(content)
    with pytest.raises(InputError, match=r'probe "probe\.json": expected what bedside devices probe -o writes'):
        read_probe(tmp_path / "probe.json")
