"""The scans of a folder that has one folder for each patient, and the folders in it whose scans are left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...runtime.errors import InputError, UsageError
from ...runtime.files.text import utf8_name
from ...runtime.scans.file_kind import contents_of
from ...runtime.scans.names import JOURNAL_NAME, joined_names, label_map_name, nifti_files
from ...runtime.scans.patient_folder import PatientFolder, holds_scan, inner_folders, patient_folders
from .folder_scan import FolderScan

_NOT_SEARCHED = "it holds scans, but beside NIfTI files no folder is searched; give this folder as -i"


def scans_of_patients(scans: Path, outputs: Path) -> list[FolderScan]:
    """Returns the patients' scans; the patients' folders name the label maps.

    Args:
        scans: folder of the patients' folders.
        outputs: folder for the label maps, which may lie among the patients' folders.

    Raises:
        InputError: no patient has a scan, or one has several.
        UsageError: the output folder is a patient's.
    """
    if outputs.resolve().parent == scans.resolve() and outputs.is_dir() and not (outputs / JOURNAL_NAME).exists():
        files = nifti_files(outputs)
        if files:
            raise UsageError(
                f'-o "{outputs.name}" lies among the patients\' folders and holds {files[0].name} without '
                f"{JOURNAL_NAME}: it may be a patient's; choose another folder"
            )
    patients = [patient for patient in patient_folders(scans, outputs) if patient.images]
    if not patients:
        inner = [folder.name for folder in inner_folders(scans, outputs) if nifti_files(folder)]
        advice = f"; give one of its folders: {joined_names(inner)}" if inner else ""
        raise InputError(f'"{scans.name}": expected .nii or .nii.gz files in this folder, {contents_of(scans)}{advice}')
    several = [patient for patient in patients if len(patient.images) > 1]
    if several:
        names = joined_names(file.name for file in several[0].images)
        raise InputError(
            f'"{several[0].path.name}": expected one scan in each patient\'s folder, got {len(several[0].images)} '
            f"({names}); put the scans to be segmented into one folder, under the patients' names"
        )
    return [
        FolderScan(patient.images[0], outputs / label_map_name(patient.path.name), patient.path.name)
        for patient in patients
    ]


def folders_left_out(scans: Path, outputs: Path, cases: Sequence[FolderScan]) -> dict[str, str]:
    """Returns the folders that give no scan: name → reason; where patients have no folders, those that hold scans.

    Args:
        scans: folder of the patients' folders, or of scans.
        outputs: folder for the label maps.
        cases: the scans that were found there.
    """
    taken = {case.folder for case in cases}
    others = [folder for folder in inner_folders(scans, outputs) if folder.name not in taken]
    if taken == {""}:
        return {utf8_name(folder.name): _NOT_SEARCHED for folder in others if holds_scan(folder)}
    return {utf8_name(folder.name): _reason(PatientFolder.of(folder)) for folder in others}


def _reason(patient: PatientFolder) -> str:
    if patient.label_maps:
        names = joined_names(file.name for file in patient.label_maps)
        return f"expected a scan in it, got {names}, named like a label map; rename it if it is a scan"
    return f"expected a .nii or .nii.gz file directly in it, {contents_of(patient.path)}"
