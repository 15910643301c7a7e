"""Segments scans one after the other, as the software of a device would: the bundle is loaded once.

    python segment.py student.bedside labels/ first.nii.gz second.nii.gz

The label maps are labels/1.nii.gz, labels/2.nii.gz, …; names of scans, which may be names of patients, are not shown.
The exit code is that of the first scan that was not simply done. Ctrl-C and SIGTERM cancel before the next window.
"""

import signal
import sys
from pathlib import Path
from types import FrameType

from bedside.runtime import BedsideError, Cancelled, InputError, ResourceError, Segmenter, UsageError

received: list[int] = []  # signals that ask the program to end


def show_progress(done: int, total: int) -> None:
    """Shows the windows done; bedside calls it in the thread that segments."""
    sys.stderr.write(f"\r{done} of {total} windows" + "\n" * (done == total))


def is_cancelled() -> bool:
    """Whether to cancel; bedside asks before every window."""
    return bool(received)


def segment(segmenter: Segmenter, scan: Path, labels: Path) -> int:
    """Segments one scan and returns the exit code that `bedside segment` has for the same.

    Errors that no other scan would escape are not caught here: those of the bundle, and of this program's own calls.
    """
    try:
        result = segmenter.segment(scan, progress=show_progress, cancel=is_cancelled)
        result.save(labels)
    except InputError as error:  # the scan is at fault: the person chooses or makes another one
        sys.stderr.write(f"this scan is refused: {error}\n")
        return int(error.exit_code)
    except ResourceError as error:  # memory or disk: the same scan may succeed later, or on a larger machine
        sys.stderr.write(f"not now: {error}\n")
        return int(error.exit_code)
    for name, millilitres in result.volumes_ml.items():
        print(f"{name}: {millilitres:.1f} ml")
    for note in result.notes:  # for information
        sys.stderr.write(f"note: {note}\n")
    for warning in result.warnings:  # there is a label map, and nobody should use it unseen
        sys.stderr.write(f"look at it before use: {warning}\n")
    return 6 if result.needs_review else 0


def main(bundle: Path, folder: Path, scans: list[Path]) -> int:
    """Segments the scans and returns the program's exit code."""
    codes: list[int] = []
    try:
        with Segmenter.load(bundle) as segmenter:  # seconds: once, when the device starts
            for number, scan in enumerate(scans, 1):
                codes.append(segment(segmenter, scan, folder / f"{number}.nii.gz"))
    except Cancelled:  # nothing of the scan in progress is left; the label maps before it stay
        return 128 + received[0]
    except UsageError as error:  # this program calls bedside wrongly, or a package is not installed: for its developer
        sys.stderr.write(f"a fault of this program: {error}\n")
        return int(error.exit_code)
    except BedsideError as error:  # a bundle that is damaged or not trusted, an engine that does not start: for support
        sys.stderr.write(f"segmentation is not available: {error}\n")
        return int(error.exit_code)
    return next((code for code in codes if code), 0)


def note_signal(number: int, _: FrameType | None) -> None:
    """Notes a signal, so that the scan in progress is cancelled."""
    received.append(number)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.stderr.write("usage: segment.py BUNDLE FOLDER SCAN...\n")
        sys.exit(2)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, note_signal)
    output = Path(sys.argv[2])
    output.mkdir(parents=True, exist_ok=True)
    sys.exit(main(Path(sys.argv[1]), output, [Path(word) for word in sys.argv[3:]]))
