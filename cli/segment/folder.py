"""`bedside segment` with a folder: every scan in it, resumable, with one table at the end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...runtime.bundles.bundle import Bundle
from ...runtime.bundles.outputs import check_outside_bundles
from ...runtime.engine_selection.trials import Setting
from ...runtime.engines import CPU
from ...runtime.errors import ExitCode, InputError, UsageError
from ...runtime.files.sole_process import sole_process
from ...runtime.record import Machine, Outcome, Setup
from ...runtime.scans.names import FIRST_CHANNEL, has_nifti_ending, label_map_name, nifti_files, split_channel, stem
from ..terminal.console import Advance, Console
from .folder_scan import FolderScan
from .job import SegmentJob
from .journal import JOURNAL_NAME, Journal
from .output import SEG_SUFFIX
from .patients import folders_left_out, scans_of_patients

if TYPE_CHECKING:
    from rich.table import Table

    from ...processes.cluster import Cluster

_LOCK = "segment.lock"
_WORST_FIRST = (ExitCode.FAULT, ExitCode.RESOURCE, ExitCode.INPUT, ExitCode.REVIEW)


def segment_folder(
    job: SegmentJob,
    scans: Path,
    outputs: Path,
    workers: int,
    force: bool,
    console: Console,
    cluster: Cluster | None = None,
) -> ExitCode:
    """Segments every scan directly in a folder.

    Args:
        job: bundle and options, the same for every scan.
        scans: folder of .nii and .nii.gz files, in upper or lower case; other files and hidden files are left alone,
            and folders with scans are named in a warning. Without such a file: the folders in it, each with the scan
            of one patient.
        outputs: folder for the label maps and the journal; created if it does not exist.
        workers: number of processes.
        force: whether to segment scans again that have their label map.
        console: prints progress, warnings and results.
        cluster: where to run jobs in place of processes of this machine; None for none.

    Returns:
        The exit code of the worst case: a fault in bedside (1), resources (5), input (3), review, also of a folder
        that is left out (6), all well (0).

    Raises:
        InputError: no scan in the folder, or two with the same output.
        UsageError: the output folder is the input folder, a file, or has label maps of another bundle or other options,
            or files that a label map would replace.
        BundleError: the bundle is refused, or was replaced while the run was going on.
        ResourceError: the output folder cannot be written, or another process writes label maps in it.
    """
    cases = find_cases(scans, outputs)
    left_out = folders_left_out(scans, outputs, cases)
    with Bundle.open(job.bundle, job.trust) as bundle:
        setup = Setup.of(bundle, job.for_record())
        job = replace(job, bundle_sha256=bundle.sha256)
    with sole_process(outputs, _LOCK, "writes label maps", "wait for it, or choose another -o"):
        journal = Journal(setup=setup, machine=Machine.this(), threads=job.engine.threads, workers=workers)
        journal = journal.resumed(outputs, cases, force)
        todo = cases if force else journal.unfinished(cases)
        skipped = len(cases) - len(todo)
        earlier = next((outcome for outcome in journal.cases.values() if outcome.output_sha256 is not None), None)
        if earlier is not None:  # auto may choose anew, and the label maps of a folder have to be comparable
            job = job.like(earlier)
        if skipped:
            console.info(f"{skipped} of {len(cases)} scans have their label map already")
        in_hand = _most_in_hand(workers, len(todo), cluster)
        journal = journal.beginning(todo[:in_hand])
        journal.save(outputs)
        try:
            with console.stages("scans", "windows") as (advance, windows):
                advance(skipped, len(cases))
                with closing(_run(job, todo, workers, windows, cluster)) as segmented:
                    for done, (case, outcome) in enumerate(segmented, 1):
                        following = todo[done + in_hand - 1 : done + in_hand]
                        journal = journal.with_outcome(case, outcome).beginning(following)
                        journal.save(outputs)
                        advance(skipped + done, len(cases))
        except BaseException:
            journal.interrupted(todo).save(outputs)
            raise
    return _tell(cases, {case.name for case in todo}, journal.cases, left_out, console)


def _most_in_hand(workers: int, scans: int, cluster: Cluster | None) -> int:
    """Returns how many scans whose outcome is not known may have been handed out, the first ones in their order."""
    if cluster is not None:
        return scans
    return workers + 1 if workers > 1 else 1  # a worker gets its next scan before it reports the outcome of its last


def find_cases(scans: Path, outputs: Path) -> list[FolderScan]:
    """Returns the scans of a folder by name, each with its output; raises the errors of `segment_folder`."""
    if outputs.resolve() == scans.resolve():
        raise UsageError("-i and -o are the same folder; the label maps would replace the scans")
    if has_nifti_ending(outputs.name) or outputs.suffix == SEG_SUFFIX or (outputs.exists() and not outputs.is_dir()):
        raise UsageError(f'-i is a folder, so -o must be one too; got "{outputs.name}"')
    check_outside_bundles(outputs)
    found = nifti_files(scans)
    _check_one_channel(scans, [stem(file.name) for file in found])
    cases = [FolderScan(path, outputs / label_map_name(stem(path.name))) for path in found]
    cases = cases or scans_of_patients(scans, outputs)
    _check_apart(cases)
    return cases


def _check_one_channel(folder: Path, names: Sequence[str]) -> None:
    """Refuses several channels of one patient, in nnU-Net's naming, which would be taken for patients.

    Raises:
        InputError: a scan has a second channel.
    """
    there = {*names}
    for name in names:
        found = split_channel(name)
        if found is not None and found[1] > 0 and f"{found[0]}{FIRST_CHANNEL}" in there:
            raise InputError(
                f'"{folder.name}" holds several channels of "{found[0]}" ("{name}"), and bundles take one: leave the '
                f"files that end in {FIRST_CHANNEL} alone in the folder"
            )


def _check_apart(cases: Sequence[FolderScan]) -> None:
    """Checks that no label map replaces another, or a scan.

    Raises:
        InputError: two scans have the same label map, or label maps of one name in UTF-8, by which the journal knows
            them.
        UsageError: a link in the output folder leads to a scan, or to the place of another label map.
    """
    named: dict[str, FolderScan] = {}
    scans = {os.path.realpath(case.scan) for case in cases}
    places: dict[str, FolderScan] = {}
    for case in cases:
        other = named.setdefault(case.label_map, case)
        if other is not case:
            raise InputError(f'"{other.name}" and "{case.name}" would have the same label map; rename or remove one')
        place = os.path.realpath(case.output)  # of a link that leads to itself, too
        if place in scans:
            raise UsageError(
                f'"{case.label_map}" in the output folder is a link to "{Path(place).name}", a scan, which it would '
                "replace; choose another folder"
            )
        other = places.setdefault(place, case)
        if other is not case:
            raise UsageError(
                f'"{other.label_map}" in the output folder and "{case.label_map}" are links to one file; choose '
                "another folder"
            )


def _run(
    job: SegmentJob, cases: Sequence[FolderScan], workers: int, windows: Advance, cluster: Cluster | None
) -> Generator[tuple[FolderScan, Outcome]]:
    if not cases:
        return
    if cluster is not None:
        from .workers import segment_in_jobs

        yield from segment_in_jobs(job, cases, cluster)
        return
    if workers > 1:
        from .workers import segment_in_workers

        yield from segment_in_workers(job, cases, min(workers, len(cases)), windows)
        return
    with job.load() as segmenter:
        for case in cases:
            yield case, case.run(segmenter, job.options, windows)


def _tell(
    cases: Sequence[FolderScan],
    fresh: set[str],
    outcomes: dict[str, Outcome],
    left_out: dict[str, str],
    console: Console,
) -> ExitCode:
    told = {case.name: outcomes[case.name] for case in cases}
    codes = {outcome.exit_code for outcome in told.values()} | ({ExitCode.REVIEW} if left_out else set())
    worst = next((code for code in _WORST_FIRST if code in codes), ExitCode.OK)
    failed = sum(outcome.output_sha256 is None for outcome in told.values())
    console.finished(f'{len(told) - failed} label maps and the record "{JOURNAL_NAME}" are written')
    console.show(_table(told, fresh), f"{len(told)} scans: {len(told) - failed} have a label map, {failed} have none")
    settings = Counter(_setting(each) for each in told.values() if each.output_sha256 is not None)
    if len(settings) > 1:
        counts = ", ".join(f"{count} by {setting}" for setting, count in sorted(settings.items()))
        console.warn(
            f"the label maps are not of one kind: {counts}; name --engine, --precision and --device, and --force"
        )
    if console.json or console.quiet:
        for name, outcome in told.items():
            for line in _reasons(outcome):
                console.warn(f'"{name}": {line}')
    for name, reason in left_out.items():
        console.warn(f'folder "{name}" is left out: {reason}')
    console.emit(
        {
            "cases": [
                {"name": name, "skipped": name not in fresh, **msgspec.to_builtins(outcome)}
                for name, outcome in told.items()
            ],
            "left_out": left_out,
            "exit_code": int(worst),
        }
    )
    return worst


def _setting(outcome: Outcome) -> str:
    """Names engine, precision and, unless it is the CPU or not known, device of a label map."""
    return str(Setting(outcome.engine or "", outcome.precision or "", device=outcome.device or CPU))


def _table(told: dict[str, Outcome], fresh: set[str]) -> Table:
    from rich.table import Table

    table = Table("scan", "exit", "seconds", "")
    for name, outcome in told.items():
        seconds = f"{sum(outcome.timings_ms.values()) / 1000:.1f}" if name in fresh else "before"
        table.add_row(name, str(outcome.exit_code), seconds, "\n".join((*_reasons(outcome), *outcome.notes)))
    return table


def _reasons(outcome: Outcome) -> tuple[str, ...]:
    return outcome.warnings if outcome.error is None else (outcome.error,)
