"""Measures the size of a bedside install, package by package, and how soon it answers.

python benchmarks/device_install/install_size.py               the device install
python benchmarks/device_install/install_size.py openvino      with the extra `openvino`

Makes an empty virtual environment in a temporary folder, installs this repository's wheel into it with pip, and adds up
the files that each package recorded. pip and setuptools do not count: a device does not need them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import venv
from importlib.metadata import Distribution, distributions
from pathlib import Path

from build_wheel import build_wheel

_INSTALLERS = {"pip", "setuptools"}
_MB = 1e6


def installed_bytes(package: Distribution) -> int:
    """Sums the sizes of a package's files, byte code and scripts included."""
    files = (Path(str(package.locate_file(file))) for file in package.files or ())
    return sum(file.stat().st_size for file in files if file.is_file())


def sizes(site_packages: Path) -> dict[str, int]:
    """Returns the bytes of every package in a folder, largest first, without the installers."""
    found = {f"{p.name} {p.version}": installed_bytes(p) for p in distributions(path=[str(site_packages)])}
    return {
        name: size
        for name, size in sorted(found.items(), key=lambda item: -item[1])
        if name.split()[0] not in _INSTALLERS
    }


def fastest(command: list[str], runs: int = 7) -> float:
    """Returns the shortest wall-clock time of a command in seconds, after one run that warms the disk cache."""
    times: list[float] = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main() -> None:
    extras = f"[{','.join(sys.argv[1:])}]" if sys.argv[1:] else ""
    with tempfile.TemporaryDirectory() as work:
        wheel = build_wheel(Path(work))
        venv.create(Path(work) / "venv", with_pip=True)
        python, bedside = (str(Path(work) / "venv/bin" / name) for name in ("python", "bedside"))
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel}{extras}"], check=True, stdout=sys.stderr)
        report(sizes(next((Path(work) / "venv/lib").glob("python*/site-packages"))))
        bare = fastest([python, "-c", "pass"])
        print(f"\nPython {sys.version.split()[0]} starts in {bare:.3f} s.")
        for statement in ("import bedside.runtime", "from bedside.runtime import Segmenter"):
            print(f"`{statement}` takes {fastest([python, '-c', statement]) - bare:.3f} s more.")
        print(f"`bedside --help` answers in {fastest([bedside, '--help']):.3f} s.")


def report(packages: dict[str, int]) -> None:
    print("| package | MB |\n|---|---|")
    for name, size in packages.items():
        print(f"| {name} | {size / _MB:.1f} |")
    print(f"| **together** | **{sum(packages.values()) / _MB:.1f}** |")


if __name__ == "__main__":
    main()
