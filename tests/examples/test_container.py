"""The Dockerfile: who runs in the image, what is left in it, what reaches the build. Docker itself is not needed."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import tomli

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "container"
TEXT = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def stages():
    """The instructions of each stage, as (name, rest) with continued lines joined; without those before the first."""
    lines = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
    found = []
    lines = lines[next(place for place, line in enumerate(lines) if line.startswith("FROM ")) :]
    for line in re.sub(r" \\\n\s*", " ", "\n".join(lines)).splitlines():
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def all_of(stage, name):
    return [rest for each, rest in stage if each == name]


def test_it_has_two_stages_of_the_same_slim_python():
    build, image = stages()
    assert re.findall(r"^ARG BASE=(.*)$", TEXT, re.MULTILINE) == ["python:3.12-slim"]
    assert TEXT.index("ARG BASE=") < TEXT.index("FROM ")
    assert re.findall(r"^ARG BUILD_BASE=(.*)$", TEXT, re.MULTILINE) == ["${BASE}"]
    assert all_of(build, "FROM")[0].endswith(" ${BUILD_BASE} AS build")
    assert all_of(image, "FROM")[0].endswith(" ${BASE}")


def test_the_packages_are_installed_by_the_machine_that_builds():
    build, image = stages()
    assert all_of(build, "FROM")[0].startswith("--platform=${BUILDPLATFORM:-")
    assert all_of(image, "FROM")[0].startswith("--platform=${TARGETPLATFORM:-")


def shell(line, variables):
    """Runs what a RUN line says."""
    return subprocess.run(["/bin/sh", "-c", line], env=variables, capture_output=True, text=True)


def test_an_architecture_that_it_does_not_know_ends_the_build_before_anything_is_installed():
    (line,) = all_of(stages()[0], "RUN")
    done = shell(line, {"TARGETARCH": "riscv64", "PATH": "/nowhere"})  # should it go on, it finds no program
    assert done.returncode == 1
    assert done.stderr == "expected linux/amd64 or linux/arm64, got riscv64\n"


@pytest.mark.parametrize(
    ("target", "python", "words"),
    [
        ("aarch64 python3.12", "echo aarch64 python3.12", ""),
        ("aarch64 python3.13", "echo aarch64 python3.12", "for aarch64 python3.13, BASE has aarch64 python3.12"),
        ("x86_64 python3.12", "echo aarch64 python3.12", "for x86_64 python3.12, BASE has aarch64 python3.12"),
        ("x86_64 python3.12", "exit 127", "BASE has no Python at the same path"),
    ],
)
def test_a_base_with_another_python_or_processor_than_the_packages_ends_the_build(tmp_path, target, python, words):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text(f"#!/bin/sh\n{python}\n")
    (tmp_path / "bin/python").chmod(0o755)
    (tmp_path / "target").write_text(target + "\n")
    done = shell(all_of(stages()[1], "RUN")[0].replace("/opt/bedside", str(tmp_path)), os.environ)
    assert done.returncode == (1 if words else 0)
    assert words in done.stderr


def test_the_image_gets_the_installed_packages_alone_and_no_package_manager():
    build, image = stages()
    assert all_of(image, "COPY") == ["--from=build /opt/bedside /opt/bedside"]
    assert not all_of(image, "ADD")
    assert not re.search(r"apt|pip|gcc|g\+\+|curl", " ".join(all_of(image, "RUN")))
    assert "--only-binary=:all:" in all_of(build, "RUN")[0]  # nothing is compiled
    assert "venv --without-pip /opt/bedside" in all_of(build, "RUN")[0]


def test_the_program_is_not_root_and_owns_the_only_folder_that_it_writes():
    _, image = stages()
    (user,) = all_of(image, "USER")
    (volume,) = all_of(image, "VOLUME")
    number, group = user.split(":")
    assert int(number) > 0
    assert int(group) > 0
    assert f"--owner={number} --group={group} --mode=0700 {volume}" in all_of(image, "RUN")[1]
    assert f"BEDSIDE_CACHE={volume}/" in all_of(image, "ENV")[0]
    kinds = [name for name, _ in image]
    assert kinds.index("RUN") < kinds.index("USER") < kinds.index("ENTRYPOINT")


@pytest.mark.parametrize("extra", ["serve", "dicom", "openvino"])
def test_its_extras_exist(extra):
    assert extra in PROJECT["project"]["optional-dependencies"]


def test_its_default_extras_are_those_of_the_service():
    build, _ = stages()
    assert all_of(build, "ARG") == ["EXTRAS=serve,dicom", "TARGETARCH"]


def test_the_build_gets_all_that_the_package_needs_and_nothing_else():
    lines = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    let_in = {line[1:] for line in patterns if line.startswith("!")}
    packages = {name.split(".")[1] for name in PROJECT["tool"]["setuptools"]["packages"] if "." in name}
    files = {"pyproject.toml", "__init__.py", "__main__.py", "py.typed", PROJECT["project"]["readme"]}
    assert let_in == packages | files | set(PROJECT["project"]["license-files"])
    assert all((ROOT / each).exists() for each in let_in)


TOOL = """#!/bin/sh
# In place of docker: an image whose program is root, and otherwise as it should be.
case "$*" in
*--version*) echo "bedside 0.1.0" ;;
*'id -u'*) exit {root} ;;
*'touch /opt/bedside/x'*) exit {writable} ;;
*'import torch'*) exit {torch} ;;
*'bedside segment'*) exit {segment} ;;
*) exit 0 ;;
esac
"""


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"root": 1}, "it has the rights of root"),
        ({"writable": 1}, "what can be written is not /var/lib/bedside and /tmp alone"),
        ({"torch": 0}, "it has torch"),
        ({"segment": 4}, "failed: segment"),
        ({}, "the service ended at its start"),
    ],
)
def test_the_check_of_an_image_fails_with_the_first_thing_that_is_wrong(tmp_path, found, words):
    tool, scan = tmp_path / "tool", tmp_path / "scan.nii.gz"
    tool.write_text(TOOL.format(**({"root": 0, "writable": 0, "torch": 1, "segment": 0} | found)))
    tool.chmod(0o755)
    scan.write_bytes(b"")
    given = [FOLDER / "check.sh", "bedside", tmp_path, scan]
    done = subprocess.run(given, env={**os.environ, "CONTAINER_TOOL": str(tool)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert words in done.stderr
