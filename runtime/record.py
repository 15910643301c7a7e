"""The record of one segmentation: input, software, machine and outcome as hashes and figures, no patient data."""

from __future__ import annotations

import platform
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from .. import __version__
from .bundles.bundle import Bundle
from .engine_selection.engine_choice import EngineChoice
from .engines import default_threads, engine_entries, package_version
from .errors import ExitCode, printable
from .files.atomic import atomic_write
from .files.hashing import file_sha256
from .files.system_files import is_file
from .result import Result

_PACKAGES = ("numpy", "nibabel", "msgspec")  # and those of the engines


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine and its software, without host and user names.

    Attributes:
        system: operating system and its release.
        architecture: ``"x86_64"``, ``"aarch64"``, …
        cpus: number of CPUs this process may use.
        python: version of Python.
        packages: package → version, for each installed package that the runtime can use.
    """

    system: str
    architecture: str
    cpus: int
    python: str
    packages: dict[str, str]

    @staticmethod
    def this() -> Machine:
        """Describes the machine this process runs on."""
        engines = sorted({entry.package for _, entry in engine_entries()})
        versions = {package: package_version(package) for package in (*_PACKAGES, *engines)}
        return Machine(
            system=f"{platform.system()} {platform.release()}",
            architecture=platform.machine(),
            cpus=default_threads(),
            python=platform.python_version(),
            packages={package: version for package, version in versions.items() if version is not None},
        )


class Setup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything but the scan that determines the labels.

    Attributes:
        bedside: version of bedside.
        bundle_sha256: SHA-256 of `bundle.json`, which holds the hash of every other file.
        task: name of the task.
        options: option → value that the caller gave, named as on the command line.
    """

    bedside: str
    bundle_sha256: str
    task: str
    options: dict[str, Any]

    @staticmethod
    def of(bundle: Bundle, options: dict[str, Any]) -> Setup:
        """Describes a bundle and the options that the caller gave."""
        return Setup(bedside=__version__, bundle_sha256=bundle.sha256, task=bundle.task.name, options=options)


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome for one scan.

    Attributes:
        finished: date and time, ISO 8601, UTC.
        exit_code: the command line's exit code for this scan.
        input_sha256: SHA-256 of the scan's file; None where the file could not be read.
        output_sha256: SHA-256 of the label map; None where none was written.
        error: what failed, without the file's name; None on success. A label map may be written all the same, where
            what failed is a report or contours beside it.
        engine: name of the engine that ran.
        precision: precision of the variant that ran.
        device: name of the device that the engine ran on; None also in records of earlier versions.
        windows: windows the network saw.
        windows_skipped: windows left out because they hold no body.
        windows_without_organ: windows left out because the locator found no organ there.
        warnings: as `Result.warnings`.
        notes: as `Result.notes`.
        volumes_ml: as `Result.volumes_ml`.
        timings_ms: as `Result.timings`.
        postprocessing: as `Result.postprocessing`.
    """

    finished: str
    exit_code: int
    input_sha256: str | None = None
    output_sha256: str | None = None
    error: str | None = None
    engine: str | None = None
    precision: str | None = None
    device: str | None = None
    windows: int = 0
    windows_skipped: int = 0
    windows_without_organ: int = 0
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    volumes_ml: dict[str, float] = {}
    timings_ms: dict[str, float] = {}
    postprocessing: tuple[dict[str, Any], ...] = ()

    @staticmethod
    def written(input_sha256: str | None, output: Path, result: Result) -> Outcome:
        """Describes a label map that was written.

        Args:
            input_sha256: SHA-256 of the scan, taken of the file that was segmented; another may be there by now.
            output: the label map.
            result: the result of the segmentation.

        Raises:
            OSError: the label map cannot be read.
        """
        return Outcome(
            finished=_now(),
            exit_code=ExitCode.REVIEW if result.needs_review else ExitCode.OK,
            input_sha256=input_sha256,
            output_sha256=file_sha256(output),
            engine=result.engine,
            precision=result.precision,
            device=result.device or None,
            windows=result.windows,
            windows_skipped=result.windows_skipped,
            windows_without_organ=result.windows_without_organ,
            warnings=result.warnings,
            notes=result.notes,
            volumes_ml=dict(result.volumes_ml),
            timings_ms=dict(result.timings),
            postprocessing=tuple(msgspec.to_builtins(entry) for entry in result.postprocessing),
        )

    @staticmethod
    def failed(scan: Path, message: str, exit_code: int, label_map: Outcome | None = None) -> Outcome:
        """Describes a scan for which the work failed; removes the scan's name from the message.

        The scan may be a folder with the files of a DICOM series: it has no hash, and the file's name is removed.

        Args:
            scan: the scan's file or folder.
            message: what failed.
            exit_code: the command line's exit code for this failure.
            label_map: describes the label map, if it was written before the failure.
        """
        name = printable(scan.name)
        for spelled in (name, " ".join(name.split())):  # as raised, and as the command line prints it
            message = message.replace(f'"{spelled}": ', "").replace(f'"{spelled}"', "the scan")
        if scan.is_dir():
            message = re.sub(r'^"[^"]*": ', "", message)
        if label_map is not None:
            return msgspec.structs.replace(label_map, finished=_now(), exit_code=exit_code, error=message)
        try:
            digest = file_sha256(scan) if is_file(scan) else None  # reading a pipe would wait for its writer
        except OSError:
            digest = None
        return Outcome(finished=_now(), exit_code=exit_code, input_sha256=digest, error=message)


class RunRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record of one scan.

    Attributes:
        setup: the bundle and options that were used.
        machine: the machine it ran on.
        threads: CPU threads that the caller asked for; None for all.
        choice: engine, precision and streams that ran, and the reason for choosing them.
        outcome: exit code, hashes and figures of the result.
    """

    setup: Setup
    machine: Machine
    threads: int | None
    choice: EngineChoice
    outcome: Outcome

    def save(self, path: Path) -> None:
        """Writes the record as indented JSON, atomically.

        Raises:
            ResourceError: the file cannot be written.
        """
        save_json(path, self)


def save_json(path: Path, content: msgspec.Struct) -> None:
    """Writes a struct as indented JSON, atomically.

    Raises:
        ResourceError: the file cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
