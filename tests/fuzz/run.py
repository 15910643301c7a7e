"""Coverage-guided fuzzing: `python tests/fuzz/run.py --seconds 60 [target …]`; needs `pip install 'bedside[fuzz]'`.

Every target runs in a process of its own. What it finds is kept in `--findings`, one file per input; move such a file
to `tests/fuzz/golden/<target>/` when it is mended, where `make test` runs it ever after.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LONGEST_INPUT = 4096  # bytes
HANG = 10  # seconds for one input
MEMORY = 2048  # MiB


def fuzz(target: str, corpus: Path, findings: Path, seconds: int) -> None:
    """Fuzzes one target in this process, which ends with it."""
    import atheris

    sys.path.insert(0, str(HERE.parents[1]))
    with atheris.instrument_imports(include=["bedside"]):
        targets = importlib.import_module("tests.fuzz.targets")
    chosen = targets.TARGETS[target]
    for number, seed in enumerate(chosen.seeds()):
        (corpus / f"seed{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}", f"-timeout={HANG}", f"-rss_limit_mb={MEMORY}",
        f"-artifact_prefix={findings}/{target}-", "-print_final_stats=1", "-verbosity=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], chosen.one_input)
    atheris.Fuzz()


def main() -> int:
    """Runs the targets one after the other; returns how many had a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help="names in targets.py; all of them if none is given")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.findings.mkdir(parents=True, exist_ok=True)
    if given.only:
        with tempfile.TemporaryDirectory(prefix="bedside-corpus-") as corpus:
            fuzz(given.only, Path(corpus), given.findings.resolve(), given.seconds)
        return 0
    sys.path.insert(0, str(HERE.parents[1]))
    names = given.targets or list(importlib.import_module("tests.fuzz.targets").TARGETS)
    failed: list[str] = []
    for name in names:
        command = [sys.executable, __file__, "--only", name, "--seconds", str(given.seconds)]
        done = subprocess.run(
            [*command, "--findings", str(given.findings)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        executed = [line.split()[-1] for line in done.stdout.splitlines() if "number_of_executed_units" in line]
        print(f"{name}: {executed[0] if executed else 'no'} executions, {'a finding' if done.returncode else 'clean'}")
        if done.returncode:
            failed.append(name)
            print(done.stdout[-4000:])
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
