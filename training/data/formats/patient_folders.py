"""Reads one folder per patient: the scan beside its label map, or beside a folder with one mask per organ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ....runtime.errors import InputError
from ....runtime.scans.patient_folder import PatientFolder, patient_folders
from ..organ_masks import OrganMasks
from .listing import Listing, RawCase, Source, several_images


@dataclass(frozen=True)
class PatientFolders:
    """``patient01/ct.nii.gz`` with ``patient01/labels.nii.gz`` or ``patient01/segmentations/liver.nii.gz``.

    The folder's name is the case's name. The task names the labels.
    """

    name: str = "a folder for each patient"

    def recognises(self, source: Source) -> bool:
        """Whether a folder without dataset.json contains folders with NIfTI files."""
        return source.content is None and bool(patient_folders(source.root))

    def read(self, source: Source) -> Listing:
        """Reads the folders; if no patient has a label map, all are test cases. See `Layout`."""
        patients = patient_folders(source.root)
        if not any(patient.label_maps or patient.masks for patient in patients):
            return Listing("", {}, (), test=tuple(_case(patient, (), needs_label=False) for patient in patients))
        return Listing("", {}, tuple(_case(patient, source.labels or (), needs_label=True) for patient in patients))


def _case(patient: PatientFolder, labels: Sequence[str], *, needs_label: bool) -> RawCase:
    broken: list[str] = []
    if len(patient.images) > 1:
        broken.append(several_images(patient.images))
    image = patient.images[0] if patient.images else patient.path / "ct.nii.gz"
    truth: Path | OrganMasks | None = None
    if len(patient.label_maps) > 1 or (patient.label_maps and patient.masks):
        broken.append("expected one label map or one folder of masks, found more; leave one in the patient's folder")
    elif patient.label_maps:
        truth = patient.label_maps[0]
    elif patient.masks and labels:
        truth = _masks(patient, labels, broken)
    elif needs_label and not patient.masks:
        broken.append('found no label map; call it labels.nii.gz, or a name with "label", "seg" or "mask" in it')
    return RawCase(image, truth, patient.path.name, None, tuple(broken))


def _masks(patient: PatientFolder, labels: Sequence[str], broken: list[str]) -> Path | OrganMasks | None:
    try:
        return OrganMasks.choose(patient.masks, labels)
    except InputError as error:
        broken.append(str(error))
        return patient.masks[0]
