"""Orthanc and a node by compose file: the files fit together, and the node and Orthanc work with them, uncontained."""

import ipaddress
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
import yaml
from bedside.cli.main import run
from bedside.dicom.node.config import load_node_config

from ..dicom.node import parties

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "node-orthanc"
PASSWORD = "a-password-of-a-test"


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def settings():
    return json.loads((FOLDER / "orthanc.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def config():
    return load_node_config(FOLDER / "node.toml")


@pytest.fixture
def copy(toy, tmp_path):
    """The example's folder with a tiny bundle in it."""
    folder = shutil.copytree(FOLDER, tmp_path / "example")
    parties.node_bundle(toy, folder / "bundles" / "student.bedside")
    return folder


def mounts(service):
    """Source → (target, options) of what a service mounts."""
    parts = [each.split(":") for each in service["volumes"]]
    return {source: (target, options) for source, target, *options in parts}


def test_the_command_finds_the_configuration_sound(copy, capsys):
    assert run(["node", "--config", str(copy / "node.toml"), "--check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rules"], found["peers"]) == ({"student": "toy"}, ["orthanc"])


def test_orthanc_and_the_node_know_each_other(settings, config, compose):
    node = settings["DicomModalities"]["bedside"]
    assert (node["AET"], node["Port"]) == (config.node.ae_title, config.node.port)
    peer = config.peer("orthanc")
    assert (peer.ae_title, peer.port) == (settings["DicomAet"], settings["DicomPort"])
    assert {node["Host"], peer.address} == set(compose["services"])
    assert config.access.ae_titles == (settings["DicomAet"],)
    assert node["AllowStore"]  # results
    assert node["AllowFind"]  # count_from


def test_the_node_accepts_the_network_of_the_containers_and_listens_there(config, compose):
    (subnet,) = [each["subnet"] for each in compose["networks"]["dicom"]["ipam"]["config"]]
    assert config.access.accepts(str(ipaddress.ip_network(subnet)[2]))
    assert not config.access.accepts("10.0.0.1")
    assert config.node.address == "0.0.0.0"
    assert compose["networks"]["dicom"]["internal"]
    assert compose["services"]["node"]["networks"] == ["dicom"]
    assert "dicom" in compose["services"]["orthanc"]["networks"]


def test_the_files_are_where_the_programs_look_for_them(compose, settings, config):
    orthanc, node = (mounts(compose["services"][name]) for name in ("orthanc", "node"))
    assert orthanc["./orthanc.json"] == ("/etc/orthanc/orthanc.json", ["ro"])
    assert settings["LuaScripts"] == [orthanc["./route.lua"][0]]
    assert settings["StorageDirectory"] == settings["IndexDirectory"] == orthanc["scans"][0]
    assert node["./node.toml"] == (compose["services"]["node"]["command"][2], ["ro"])
    assert Path(node["./bundles"][0]).parent == Path(node["./node.toml"][0]).parent
    assert Path(config.node.queue).is_relative_to(node["queue"][0])
    assert Path(config.rules[0].bundle) == FOLDER / "bundles" / "student.bedside"
    assert {source for each in (orthanc, node) for source in each if source[0] != "."} == set(compose["volumes"])
    for source in (*orthanc, *node):
        assert source in compose["volumes"] or (FOLDER / source).exists()


def test_the_nodes_container_can_do_little(compose):
    node = compose["services"]["node"]
    assert node["read_only"]
    assert node["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in node["security_opt"]
    assert "ports" not in node
    assert (FOLDER / node["build"]["context"]).resolve() == ROOT
    assert (ROOT / node["build"]["dockerfile"]).is_file()


def test_a_scan_is_refused_before_the_container_is_killed(compose, config):
    assert compose["services"]["node"]["mem_limit"] == "6g"
    assert config.engine.memory_limit_mib < 6 * 1024


def test_orthancs_page_is_for_this_machine_and_has_a_password_of_the_user(compose, settings):
    assert f"127.0.0.1:8042:{settings['HttpPort']}" in compose["services"]["orthanc"]["ports"]
    assert settings["AuthenticationEnabled"]
    assert settings["RegisteredUsers"] == {"orthanc": "${ORTHANC_PASSWORD}"}
    assert compose["services"]["orthanc"]["environment"]["ORTHANC_PASSWORD"].startswith("${ORTHANC_PASSWORD:?")


@contextmanager
def orthanc_here(folder, settings, node_port, dicom_port):
    """Runs Debian's Orthanc with the example's settings; places, addresses and waiting times are the test's."""
    http_port = parties.free_port()
    (folder / "db").mkdir()
    node = {**settings["DicomModalities"]["bedside"], "Host": "127.0.0.1", "Port": node_port}
    changes = {
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "StableAge": 1,
        "LuaScripts": [str(folder / "route.lua")], "HttpPort": http_port, "DicomPort": dicom_port, "Plugins": [],
        "DicomModalities": {**settings["DicomModalities"], "bedside": node},
    }  # fmt: skip
    (folder / "here.json").write_text(json.dumps({**settings, **changes}))
    with (folder / "log").open("wb") as log:
        words = ["Orthanc", str(folder / "here.json")]
        process = subprocess.Popen(words, stdout=log, stderr=log, env={**os.environ, "ORTHANC_PASSWORD": PASSWORD})
    try:
        assert parties.wait_until(lambda: parties.is_listening(http_port) and parties.is_listening(dicom_port), 60)
        with httpx.Client(base_url=f"http://127.0.0.1:{http_port}", auth=("orthanc", PASSWORD)) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


def series(pacs, modality):
    """The series of a modality that Orthanc has."""
    everything = [pacs.get(f"/series/{each}").json() for each in pacs.get("/series").json()]
    return [each for each in everything if each["MainDicomTags"].get("Modality") == modality]


@pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")
def test_a_series_that_a_scanner_sends_to_orthanc_comes_back_as_a_segmentation(copy, settings):
    port, dicom_port = parties.free_port(), parties.free_port()
    config = load_node_config(copy / "node.toml")
    replace = msgspec.structs.replace
    node = replace(config.node, queue=str(copy / "queue"), address="127.0.0.1", port=port, quiet_seconds=0.5)
    peer = replace(config.peer("orthanc"), address="127.0.0.1", port=dicom_port)
    config = replace(
        config,
        node=node,
        peers=(peer,),
        access=replace(config.access, addresses=("127.0.0.0/8",)),
        engine=replace(config.engine, threads=1),
    )
    files = parties.series(copy / "ct", 5)
    with orthanc_here(copy, settings, port, dicom_port) as pacs, parties.node_here(config):
        assert httpx.get(pacs.base_url.join("/series")).status_code == 401
        assert parties.send(dicom_port, files[:1], title="STRANGER", called="ORTHANC") == [None]
        assert not series(pacs, "CT")
        assert parties.send(dicom_port, files, title="CT1", called="ORTHANC") == [0] * len(files)
        assert parties.wait_until(lambda: series(pacs, "SEG"))
        (sent,), (made,) = series(pacs, "CT"), series(pacs, "SEG")
    assert made["ParentStudy"] == sent["ParentStudy"]
