"""Opens a MONAI bundle: its network, its weights, and its preprocessing as a task."""

from __future__ import annotations

import inspect
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime.axes import DHW
from ...runtime.errors import FieldError, InputError, first_line, printable
from ...runtime.shortage import raise_shortage
from ...runtime.shown_value import shown
from ...runtime.task import Foreground, Modality, Task
from ...training.trained_student import TrainedStudent
from .exported_network import exported_network
from .monai_config import BundleConfig, Component
from .monai_transforms import Preparation, translate_postprocessing, translate_preprocessing
from .orientation import training_orientation
from .weights import load_weights, weights_sha256

if TYPE_CHECKING:
    import torch

METADATA = "configs/metadata.json"
_INFERENCE = ("configs/inference.json", "configs/inference.yaml", "configs/inference.yml")
_WEIGHTS = "models/model.pt"
_NETWORKS = (  # of monai.networks.nets: they map [B, 1, D, H, W] to logits, and building them reads no file
    "AttentionUnet", "BasicUNet", "BasicUNetPlusPlus", "DynUNet", "HighResNet", "MedNeXt", "SegResNet", "SegResNetDS",
    "SwinUNETR", "UNet", "UNETR", "VNet",
)  # fmt: skip
_FORMER_ARGUMENTS = {"SwinUNETR": "img_size"}  # MONAI before 1.5 only checked sizes with it
_PADDING = 0.0  # with which MONAI's sliding window pads a scan smaller than the window
_MODALITIES = {"CT": Modality.CT, "MR": Modality.MR, "MRI": Modality.MR}


def is_monai_bundle(path: Path) -> bool:
    """Whether a path is a folder, or a zip, that holds a MONAI bundle's metadata."""
    try:
        return (_root(path) / METADATA).is_file()
    except (OSError, ValueError, InputError):
        return False


def open_monai_bundle(
    path: Path, *, weights: Path | None = None, orientation: str | None = None, dataset: Path | None = None
) -> TrainedStudent:
    """Opens a MONAI bundle as data: nothing in it is executed.

    Args:
        path: the bundle's folder, or a zip of it.
        weights: file of the weights; None: ``models/model.pt``.
        orientation: axis codes of the training scans as stored, where the bundle's preprocessing has no Orientationd.
            None: that of the scans of ``dataset``.
        dataset: data set whose training scans have that orientation.

    Raises:
        InputError: a file is missing or refused, or the network, a transform or the inferer has no translation.
        UsageError: the network does not suit the task, or ``orientation`` is not that of the preprocessing.
    """
    root = _root(path)
    metadata = BundleConfig.read(root / METADATA)
    found = next((root / name for name in _INFERENCE if (root / name).is_file()), None)
    if found is None:
        raise InputError(f'"{path.name}": expected {_INFERENCE[0]} or .yaml, which says how the network is used')
    config = BundleConfig.read(found)
    prepared = translate_preprocessing(config.transforms("preprocessing") if "preprocessing" in config else [])
    labels = _labels(_only(metadata.plain("network_data_format"), "outputs"))
    axcodes = training_orientation(orientation, dataset, labels, turned=prepared.axcodes)
    task = _task(path, metadata, prepared, labels, axcodes, _window(config.component("inferer")))
    after = config.transforms("postprocessing") if "postprocessing" in config else []
    network = _network(config.component("network_def"))
    file = weights or root / _WEIGHTS
    load_weights(network, file)
    facts = {
        "origin": f"MONAI bundle {task.name}, version {metadata.content.get('version', 'unknown')}",
        "weights_sha256": weights_sha256(file),
        "left_out": ", ".join(prepared.left_out),
    }
    postprocessing = translate_postprocessing(after, task.labels)
    return exported_network(network, task, type(network).__name__, facts, postprocessing)


def _root(path: Path) -> Path | zipfile.Path:
    """Returns the bundle's folder, or its place within a zip."""
    if path.is_dir():
        return path
    try:
        root = zipfile.Path(path)
        inside = [entry for entry in root.iterdir() if entry.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise_shortage(error, f'"{path.name}"')
        raise InputError(f'"{path.name}" is not a MONAI bundle: {first_line(error)}') from None
    if (root / METADATA).is_file():
        return root
    return next((entry for entry in inside if (entry / METADATA).is_file()), root)


def _task(
    path: Path,
    metadata: BundleConfig,
    prepared: Preparation,
    labels: tuple[str, ...],
    axcodes: str,
    window: DHW,
) -> Task:
    image = _only(metadata.plain("network_data_format"), "inputs")
    if image.get("num_channels", 1) != 1:
        raise InputError(f"the network has {shown(image['num_channels'])} input channels; bedside gives one image")
    modality = _MODALITIES.get(str(image.get("modality", "")).upper())
    if modality is None:
        raise InputError(f"metadata.json: modality is {shown(image.get('modality'))}; expected CT or MR")
    if prepared.pixdim is None:
        raise InputError("the bundle's preprocessing has no Spacingd; bedside needs the spacing the network works at")
    try:
        return Task(
            name=printable(str(metadata.content.get("name") or path.stem)),
            modality=modality,
            labels=labels,
            spacing=(prepared.pixdim[2], prepared.pixdim[1], prepared.pixdim[0]),
            orientation=axcodes[::-1],
            anchor=prepared.anchor,
            intensity=prepared.intensity(_PADDING),
            patch=window.xyz,
            foreground=Foreground() if modality is Modality.CT else Foreground(above=0.05, relative=True),
            **_stated(metadata.content, task="anatomy", intended_use="intended_use"),
        )
    except FieldError as error:
        raise InputError(f'"{path.name}": {error}') from None


def _stated(content: Mapping[str, Any], **fields: str) -> dict[str, str]:
    """Returns texts of the metadata as fields of the task; fields that the metadata lack, or leave null, are left out.

    Args:
        content: the metadata.
        fields: name in the metadata → field of the task.
    """
    texts = {field: content.get(name) for name, field in fields.items()}
    return {field: printable(str(text)) for field, text in texts.items() if text is not None}


def _only(formats: Any, side: str) -> Mapping[str, Any]:
    entries = formats.get(side) if isinstance(formats, Mapping) else None
    if not (isinstance(entries, Mapping) and len(entries) == 1 and isinstance(next(iter(entries.values())), Mapping)):
        count = len(entries) if isinstance(entries, Mapping) else 0
        raise InputError(f"metadata.json: expected one entry in network_data_format#{side}, got {count}")
    return next(iter(entries.values()))


def _labels(prediction: Mapping[str, Any]) -> tuple[str, ...]:
    names = prediction.get("channel_def")
    if not (isinstance(names, Mapping) and set(names) == {str(number) for number in range(len(names))}):
        raise InputError("metadata.json: expected channel_def of the prediction to name the channels 0, 1, …")
    labels = [str(names[str(number)]) for number in range(len(names))]
    if not labels or labels[0].lower() != "background":
        raise InputError(f'metadata.json: expected channel 0 to be "background", got {shown(labels and labels[0])}')
    return ("background", *labels[1:])


def _window(inferer: Component) -> DHW:
    if inferer.target != "SlidingWindowInferer" or inferer.package not in ("", "monai.inferers"):
        raise InputError(f"inferer: {inferer.target} has no translation into bedside; expected SlidingWindowInferer")
    if inferer.get("padding_mode", "constant") != "constant" or inferer.get("cval", 0.0) != _PADDING:
        raise InputError("inferer: bedside pads with 0 as MONAI does by default; padding_mode and cval say otherwise")
    roi = inferer.get("roi_size")
    sizes = roi if isinstance(roi, list) else [roi] * 3
    if len(sizes) != 3 or not all(type(size) is int and size > 0 for size in sizes):
        raise InputError(f"inferer: expected a roi_size of three sizes above 0, got {shown(roi)}")
    return DHW(*sizes)


def _network(component: Component) -> torch.nn.Module:
    from monai.networks import nets

    name = component.target
    if name not in _NETWORKS or not f"{component.package}.".startswith((".", "monai.networks.nets.")):
        raise InputError(
            f'network_def: "{component.path}" has no translation into bedside; expected one of MONAI\'s '
            f"{', '.join(_NETWORKS)}"
        )
    arguments = component.arguments()
    build = getattr(nets, name, None)
    if build is None:
        raise InputError(f"network_def: the installed MONAI has no {name}")
    former = _FORMER_ARGUMENTS.get(name)
    if former in arguments and former not in inspect.signature(build).parameters:
        del arguments[former]
    try:
        return build(**arguments)
    except Exception as error:  # MONAI's networks raise many kinds of error for a wrong argument
        raise InputError(f"network_def: {name} refuses its arguments: {first_line(error)}") from error
