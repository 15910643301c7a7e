"""Builds the wheel of this repository from a clean copy, so that no left-over of another build gets into it.

python benchmarks/device_install/build_wheel.py OUT        prints the path of the wheel
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
_EVERYWHERE = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__")
_AT_THE_TOP = {"build", "demo", "tests", "benchmarks", "docs"}  # cli/demo is a package


def build_wheel(out: Path) -> Path:
    """Builds the wheel and returns its path in ``out``; pip fetches the build backend if it has to."""
    with tempfile.TemporaryDirectory() as work:
        source, built = Path(work) / "source", Path(work) / "built"
        shutil.copytree(_REPOSITORY, source, ignore=_left_out)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(built), str(source)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        wheel = next(built.glob("bedside-*.whl"))
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy2(wheel, out))


def _left_out(folder: str, names: list[str]) -> set[str]:
    """Returns which names in a folder are not copied."""
    return _EVERYWHERE(folder, names) | (_AT_THE_TOP if Path(folder) == _REPOSITORY else set())


if __name__ == "__main__":
    print(build_wheel(Path(sys.argv[1])))
