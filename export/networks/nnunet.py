"""Opens the folder of a trained nnU-Net v2: its network, the weights of a fold, and its preprocessing as a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ...runtime.axes import DHW
from ...runtime.errors import FieldError, InputError
from ...runtime.files.hashing import file_sha256
from ...runtime.task import Foreground, Intensity, Modality, Task
from ...training.tensor_file import read_tensor_file
from ...training.trained_student import TrainedStudent
from .exported_network import exported_network
from .nnunet_network import UNet
from .nnunet_plans import Configuration, DatasetDescription, Plans, decoded, read_json
from .orientation import training_orientation
from .weights import copy_weights

PLANS, DATASET = "plans.json", "dataset.json"
_CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")
_REORIENTING = ("NibabelIOWithReorient", "SimpleITKIOWithReorient")  # to RAS
_AS_STORED = ("SimpleITKIO", "NibabelIO")
_RESAMPLING = ("resample_data_or_seg_to_shape", "resample_torch_fornnunet")
_MODALITIES = {"CTNormalization": Modality.CT, "ZScoreNormalization": Modality.MR}
_SMALLEST_STD = 1e-8
_PADDING = 0.0  # nnU-Net pads the normalised scan with 0, in training and in prediction


def is_nnunet(path: Path) -> bool:
    """Whether a path is the folder of a trained nnU-Net v2."""
    return (path / PLANS).is_file() and (path / DATASET).is_file()


def open_nnunet(
    path: Path, *, fold: str | None = None, orientation: str | None = None, dataset: Path | None = None
) -> TrainedStudent:
    """Opens the folder ``TRAINER__PLANS__CONFIGURATION`` of a trained nnU-Net v2.

    Args:
        path: the folder, with ``plans.json``, ``dataset.json`` and a folder for each fold.
        fold: ``"0"`` … or ``"all"``; None for the only one there is.
        orientation: axis codes of the training scans as stored: nnU-Net does not reorient, unless its plans name a
            reader that does. None: that of the scans of ``dataset``.
        dataset: data set whose training scans have that orientation.

    Raises:
        InputError: a file is missing or refused, or the plans ask for what bedside has no translation for.
        UsageError: the network does not suit the task, or ``orientation`` is not that of the reader.
    """
    plans, described = read_json(path / PLANS, Plans), read_json(path / DATASET, DatasetDescription)
    file = _checkpoint(path, fold)
    checkpoint = _checkpoint_content(file)
    name = checkpoint.init_args.configuration
    configuration = plans.configuration(name)
    _refuse_other_dimensions(name, configuration)
    _refuse_other_inputs(configuration, described)
    labels = _labels(described)
    stored = training_orientation(orientation, dataset, labels, turned="RAS" if _reorients(plans) else None)
    task = _task(plans, configuration, labels, stored)
    network = UNet(configuration.architecture, task.num_classes)
    copy_weights(network, checkpoint.network_weights, file.name, network.name_of)
    facts = {
        "origin": f"nnU-Net v2, {plans.dataset_name}, {name}, {file.parent.name}, {file.name}",
        "trainer": checkpoint.trainer_name,
        "weights_sha256": file_sha256(file),
        "resampling": "linear; nnU-Net's own is of order 3",
    }
    return exported_network(network, task, configuration.architecture.kind, facts)


class _InitArguments(msgspec.Struct, frozen=True):
    configuration: str


class _Checkpoint(msgspec.Struct, frozen=True):
    network_weights: dict[str, Any]
    init_args: _InitArguments
    trainer_name: str = "unknown"


def _checkpoint(path: Path, fold: str | None) -> Path:
    """Returns the path of the checkpoint of a fold."""
    folds = sorted(entry.name.removeprefix("fold_") for entry in path.glob("fold_*") if entry.is_dir())
    if fold is None and len(folds) != 1:
        raise InputError(f'"{path.name}" has {len(folds)} folds ({", ".join(folds)}); give one of them as --fold')
    chosen = path / f"fold_{fold if fold is not None else folds[0]}"
    found = next((chosen / name for name in _CHECKPOINTS if (chosen / name).is_file()), None)
    if found is None:
        raise InputError(
            f'"{path.name}": expected {chosen.name}/{_CHECKPOINTS[0]} or {_CHECKPOINTS[1]}; it has the folds '
            f"{', '.join(folds) or 'none'}"
        )
    return found


def _checkpoint_content(file: Path) -> _Checkpoint:
    """Reads a checkpoint. nnU-Net stores losses as NumPy scalars in it; no other object is allowed."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"}
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")  # before NumPy 2, and since
    allowed = [*((scalar, name) for name in names), np.dtype, *kinds]
    return decoded(read_tensor_file(file, allowed=allowed), _Checkpoint, f'"{file.name}"')


def _task(plans: Plans, configuration: Configuration, labels: tuple[str, ...], stored: str) -> Task:
    """Returns the task; ``stored``: axis codes, x first, of the arrays that the network was trained on."""
    axes = plans.transpose_forward
    if sorted(axes) != [0, 1, 2]:
        raise InputError(f"plans.json: expected transpose_forward to order the axes 0, 1, 2, got {axes}")
    d, h, w = configuration.spacing
    modality = _MODALITIES[configuration.normalization_schemes[0]]
    try:
        return Task(
            name=plans.dataset_name,
            modality=modality,
            labels=labels,
            spacing=(w, h, d),
            orientation="".join(stored[2 - axis] for axis in reversed(axes)),  # axis 0 of nnU-Net's arrays is z
            intensity=_intensity(plans, modality),
            patch=DHW(*configuration.patch_size).xyz,
            foreground=Foreground() if modality is Modality.CT else Foreground(above=0.05, relative=True),
        )
    except FieldError as error:
        raise InputError(f"plans.json: {error}") from None


def _refuse_other_dimensions(name: str, configuration: Configuration) -> None:
    for sizes in (configuration.patch_size, configuration.spacing):
        if len(sizes) != 3:
            raise InputError(
                f'plans.json: "{name}" is a configuration of a {len(sizes)}D network; bedside runs those in 3D, such '
                "as 3d_fullres"
            )


def _refuse_other_inputs(configuration: Configuration, dataset: DatasetDescription) -> None:
    """Raises for what the network sees besides one image, or sees it prepared in a form unknown to bedside."""
    if len(dataset.channel_names) != 1 or len(configuration.normalization_schemes) != 1:
        raise InputError(f"the network has {len(dataset.channel_names)} input channels; bedside gives one image")
    if configuration.previous_stage is not None:
        raise InputError(
            f"a cascade has no translation: the network also sees what {configuration.previous_stage} found"
        )
    scheme = configuration.normalization_schemes[0]
    if scheme not in _MODALITIES:
        raise InputError(f"{scheme} has no translation into bedside; expected {' or '.join(_MODALITIES)}")
    if scheme == "ZScoreNormalization" and any(configuration.use_mask_for_norm):
        raise InputError("ZScoreNormalization with use_mask_for_norm, of non-zero voxels alone, has no translation")
    if configuration.preprocessor_name != "DefaultPreprocessor" or configuration.resampling_fn_data not in _RESAMPLING:
        raise InputError(
            f"{configuration.preprocessor_name} with {configuration.resampling_fn_data} has no translation into "
            f"bedside; expected DefaultPreprocessor with {' or '.join(_RESAMPLING)}"
        )


def _reorients(plans: Plans) -> bool:
    """Whether nnU-Net turns every scan to RAS as it reads it."""
    reader = plans.image_reader_writer
    if reader not in (*_REORIENTING, *_AS_STORED):
        raise InputError(f"the reader {reader} has no translation into bedside, which reads NIfTI")
    return reader in _REORIENTING


def _labels(dataset: DatasetDescription) -> tuple[str, ...]:
    regions = [name for name, value in dataset.labels.items() if isinstance(value, list) and len(value) > 1]
    if regions:
        raise InputError(f'the label "{regions[0]}" is a region of several labels; bedside has labels alone')
    if empty := [name for name, value in dataset.labels.items() if value == []]:
        raise InputError(f'dataset.json: the label "{empty[0]}" has no value; expected a number')
    values = {name: value[0] if isinstance(value, list) else value for name, value in dataset.labels.items()}
    values.pop("ignore", None)  # of voxels that the training left out; the network has no output for it
    names = sorted(values, key=values.__getitem__)
    if [values[name] for name in names] != list(range(len(names))):
        raise InputError(f"dataset.json: expected labels 0, 1, …, got {sorted(values.values())}")
    return tuple(names)


def _intensity(plans: Plans, modality: Modality) -> Intensity:
    """Returns the intensities of CTNormalization or ZScoreNormalization."""
    if modality is Modality.MR:
        return Intensity(clip=(0.0, 100.0), clip_percentiles=True, standardise=True, padding=_PADDING)
    known = plans.foreground_intensity_properties_per_channel.get("0")
    if known is None:
        raise InputError("plans.json: expected foreground_intensity_properties_per_channel of channel 0")
    return Intensity(
        clip=(known.percentile_00_5, known.percentile_99_5),
        subtract=known.mean,
        divide=max(known.std, _SMALLEST_STD),
        padding=_PADDING,
    )
