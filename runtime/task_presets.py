"""The presets with the papers' numbers, and `load_task`, which reads a task by name or from a file.

Sources: AutoSAM Adapter, appendix 7.2 (btcv, amos-ct, ct-org, pelvic); AutoProSAM, section 5 (amos-mr, mm-whs);
Self-Prompt-SAM, section 4 (synapse, acdc); 3D-SAutoMed, section 3 (chaos, segthor). Where a paper gives no
preprocessing, bedside chose values that follow the data set's resolution; `docs/tasks.md` lists them.
"""

from __future__ import annotations

import os

import msgspec

from . import arguments
from .axes import XYZ
from .errors import InputError, UsageError
from .files.toml import read_toml
from .task import Foreground, Intensity, Modality, Task

_BTCV = (
    "background", "spleen", "kidney_right", "kidney_left", "gallbladder", "esophagus", "liver", "stomach", "aorta",
    "inferior_vena_cava", "portal_vein_and_splenic_vein", "pancreas", "adrenal_gland_right", "adrenal_gland_left",
)  # fmt: skip
_AMOS = (
    "background", "spleen", "kidney_right", "kidney_left", "gallbladder", "esophagus", "liver", "stomach", "aorta",
    "inferior_vena_cava", "pancreas", "adrenal_gland_right", "adrenal_gland_left", "duodenum", "bladder",
    "prostate_or_uterus",
)  # fmt: skip
_SYNAPSE = (
    "background", "aorta", "gallbladder", "kidney_left", "kidney_right", "liver", "pancreas", "spleen", "stomach",
)  # fmt: skip
_WHOLE_HEART = (
    "background", "left_ventricle", "right_ventricle", "left_atrium", "right_atrium", "myocardium",
    "ascending_aorta", "pulmonary_artery",
)  # fmt: skip

_SOFT_TISSUE = Intensity(clip=(-125.0, 275.0), scale_to=(0.0, 1.0))
_MR_INTENSITY = Intensity(clip=(0.5, 99.5), clip_percentiles=True, scale_to=(0.0, 1.0))
_MR_BODY = Foreground(above=0.05, relative=True)

_TASKS = (
    Task(
        name="btcv", modality=Modality.CT, labels=_BTCV, spacing=(1.0, 1.0, 1.5), intensity=_SOFT_TISSUE,
        anatomy="abdomen, 13 organs",
    ),
    Task(
        name="amos-ct", modality=Modality.CT, labels=_AMOS, spacing=(1.0, 1.0, 1.5),
        intensity=Intensity(clip=(-991.0, 362.0), subtract=50.0, divide=141.0), anatomy="abdomen and pelvis, 15 organs",
    ),
    Task(
        name="ct-org", modality=Modality.CT, labels=("background", "liver", "bladder", "lungs", "kidneys", "bones"),
        spacing=(2.0, 2.0, 2.0), intensity=Intensity(clip=(-1000.0, 1000.0), scale_to=(-1.0, 1.0)),
        anatomy="trunk, 5 organ groups",
    ),
    Task(
        name="pelvic", modality=Modality.CT, labels=("background", "prostate", "bladder", "rectum"),
        spacing=(1.5, 1.5, 1.5), intensity=Intensity(clip=(-50.0, 150.0), scale_to=(0.0, 1.0)), anatomy="male pelvis",
    ),
    Task(
        name="amos-mr", modality=Modality.MR, labels=_AMOS, spacing=(1.0, 1.0, 1.5), intensity=_MR_INTENSITY,
        foreground=_MR_BODY, anatomy="abdomen and pelvis, 15 organs",
    ),
    Task(
        name="mm-whs", modality=Modality.CT, labels=_WHOLE_HEART, spacing=(1.0, 1.0, 1.0),
        intensity=Intensity(clip=(-200.0, 600.0), scale_to=(0.0, 1.0)), anatomy="heart, 7 substructures",
    ),
    Task(
        name="synapse", modality=Modality.CT, labels=_SYNAPSE, spacing=(1.0, 1.0, 3.0), intensity=_SOFT_TISSUE,
        anatomy="abdomen, 8 organs",
    ),
    Task(
        name="acdc", modality=Modality.MR, labels=("background", "right_ventricle", "myocardium", "left_ventricle"),
        spacing=(1.5, 1.5, 5.0), intensity=_MR_INTENSITY, foreground=_MR_BODY, patch=XYZ(128, 128, 32),
        anatomy="heart, short-axis cine",
    ),
    Task(
        name="chaos", modality=Modality.MR, labels=("background", "liver", "kidney_right", "kidney_left", "spleen"),
        spacing=(1.5, 1.5, 3.0), intensity=_MR_INTENSITY, foreground=_MR_BODY, anatomy="abdomen, 4 organs",
    ),
    Task(
        name="segthor", modality=Modality.CT, labels=("background", "esophagus", "heart", "trachea", "aorta"),
        spacing=(1.0, 1.0, 2.5), intensity=Intensity(clip=(-500.0, 400.0), scale_to=(0.0, 1.0)),
        anatomy="thorax, 4 organs at risk",
    ),
)  # fmt: skip

PRESETS: dict[str, Task] = {task.name: task for task in _TASKS}


def load_task(source: str | os.PathLike[str]) -> Task:
    """Reads a task: the name of a preset (``"btcv"``), or a TOML file with the fields of `Task`.

    Raises:
        UsageError: ``source`` is not a path, or no preset and no file has that name.
        InputError: the file is not a valid task.
    """
    path = arguments.path("task", source)
    if str(source) in PRESETS:
        return PRESETS[str(source)]
    try:
        there = path.is_file()
    except (OSError, ValueError):  # no permission, or not a valid file name
        there = False
    if not there:
        names_a_file = path.suffix.lower() == ".toml" or path.name != str(source)
        what, advice = ("task file", "check the path, or give") if names_a_file else ("task", "expected a TOML file or")
        raise UsageError(f'no {what} "{source}"; {advice} one of: {", ".join(PRESETS)}')
    try:
        return msgspec.convert(read_toml(path, "task file"), Task)
    except msgspec.ValidationError as error:
        raise InputError(f'task file "{path.name}" is not valid: {error}') from None
