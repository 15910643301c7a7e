"""The node with programs that others wrote: DCMTK's storescu, and Orthanc in both directions."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from io import BytesIO

import numpy as np
import pydicom
import pytest
from bedside.dicom.node.config import load_node_config
from pydicom.pixels.utils import pixel_array

from . import parties


@pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("syntax", [[], ["--propose-implicit"], ["--propose-little"]])
def test_storescu_sends_and_gets_its_result(bundle, tmp_path, peer, syntax):
    port = parties.free_port()
    parties.series(tmp_path / "ct", 5)
    config = load_node_config(parties.node_toml(tmp_path, bundle, port, peer.port))
    with parties.node_here(config):
        words = ["storescu", *syntax, "--scan-directories", "-aec", "BEDSIDE", "127.0.0.1", str(port), tmp_path / "ct"]
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (made,) = peer.wait_for(1)
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3.77.5"


@pytest.mark.skipif(shutil.which("echoscu") is None, reason="DCMTK is not installed")
def test_echoscu_is_answered(bundle, tmp_path, peer):
    port = parties.free_port()
    with parties.node_here(load_node_config(parties.node_toml(tmp_path, bundle, port, peer.port))):
        assert subprocess.run(["echoscu", "-aec", "BEDSIDE", "127.0.0.1", str(port)]).returncode == 0


class Orthanc:
    """A running Orthanc, by its REST interface."""

    def __init__(self, port):
        self._root = f"http://127.0.0.1:{port}"

    def get(self, path):
        with urllib.request.urlopen(self._root + path, timeout=20) as answer:
            return json.load(answer)

    def file(self, instance):
        """The DICOM file of an instance."""
        with urllib.request.urlopen(f"{self._root}/instances/{instance}/file", timeout=20) as answer:
            return answer.read()

    def post(self, path, body):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self._root + path, content, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def series(self, modality):
        """The main tags of its series of a modality, with their instances."""
        everything = [self.get(f"/series/{each}") for each in self.get("/series")]
        return [each for each in everything if each["MainDicomTags"].get("Modality") == modality]


@contextmanager
def orthanc(folder, node_port, dicom_port):
    http_port = parties.free_port()
    folder.mkdir()
    settings = {
        "Name": "test", "StorageDirectory": str(folder), "IndexDirectory": str(folder), "HttpPort": http_port,
        "DicomPort": dicom_port, "DicomAet": "PACS", "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "DicomModalities": {"node": ["BEDSIDE", "127.0.0.1", node_port]}, "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowStore": True, "Plugins": [],
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        assert parties.wait_until(lambda: parties.is_listening(http_port) and parties.is_listening(dicom_port), 60)
        yield Orthanc(http_port)
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")
@pytest.mark.parametrize("storescp", ["pynetdicom", "dcmtk"])
def test_orthanc_sends_a_series_counts_it_and_takes_the_result(bundle, tmp_path, storescp):
    if storescp == "dcmtk" and shutil.which("storescp") is None:
        pytest.skip("DCMTK is not installed")
    port, dicom_port = parties.free_port(), parties.free_port()
    options = {"rule": "binary = true", "count_from": "pacs", "storescp": storescp}
    config = load_node_config(parties.node_toml(tmp_path, bundle, port, dicom_port, **options))
    with orthanc(tmp_path / "orthanc", port, dicom_port) as pacs, parties.node_here(config):
        for file in parties.series(tmp_path / "ct", 5):
            pacs.post("/instances", file.read_bytes())
        (sent,) = pacs.series("CT")
        pacs.post("/modalities/node/store", [sent["ID"]])
        assert parties.wait_until(lambda: pacs.series("SEG"))
        time.sleep(1)
        (result,) = pacs.series("SEG")
        assert len(result["Instances"]) == 1
        assert result["ParentStudy"] == sent["ParentStudy"]
        made = pydicom.dcmread(BytesIO(pacs.file(result["Instances"][0])))
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3.77.5"
    assert made.PatientID == "ID5"
    block = parties.expected_block(5)
    assert organ_of_frames(made) == {102.5: block, 105.0: block}  # slices from 100 mm on, 2.5 mm apart; the middle two


def organ_of_frames(made):
    """Place of each frame along z in mm → rows and columns [first, after] of its organ."""
    found = {}
    for frame, groups in zip(pixel_array(made), made.PerFrameFunctionalGroupsSequence, strict=True):
        place = np.argwhere(frame)
        rows, columns = zip(place.min(0).tolist(), (place.max(0) + 1).tolist(), strict=True)
        found[float(groups.PlanePositionSequence[0].ImagePositionPatient[2])] = rows, columns
    return found


@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")
def test_the_node_waits_for_what_orthanc_counts(bundle, tmp_path):
    port, dicom_port = parties.free_port(), parties.free_port()
    options = {"rule": "binary = true", "count_from": "pacs"}
    config = load_node_config(parties.node_toml(tmp_path, bundle, port, dicom_port, **options))
    files = parties.series(tmp_path / "ct", 5)
    with orthanc(tmp_path / "orthanc", port, dicom_port) as pacs, parties.node_here(config):
        for file in files:
            pacs.post("/instances", file.read_bytes())
        parties.send(port, files[:-1])
        time.sleep(2)
        assert pacs.series("SEG") == []
        parties.send(port, files[-1:])
        assert parties.wait_until(lambda: pacs.series("SEG"))
        (result,) = pacs.series("SEG")
        assert len(result["Instances"]) == 1
