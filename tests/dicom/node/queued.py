"""Puts instances into a queue and tells what became of their series."""

from __future__ import annotations

from pathlib import Path

import pydicom
from bedside.dicom.node.accepted import InstanceName


def put(queue, files):
    for file in files:
        made = pydicom.dcmread(file)
        name = InstanceName(made.PatientID, made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID)
        queue.put(name, Path(file).read_bytes())


def outcome(queue):
    (series,) = queue
    return series.outcome


def result(queue):
    (series,) = queue
    return pydicom.dcmread(series.result_folder / outcome(queue).pending[0].file)


def work_again(worker, queue):
    """Works on the only series without waiting until it may be tried again."""
    (series,) = queue
    series.retry_at = 0
    worker.work()
