"""Translates the transforms of a MONAI bundle into the fields of a task; names those that have no translation.

MONAI's networks see a scan [C, X, Y, Z] with the first axis of ``axcodes`` first; D of a task is its *last* axis. So
``axcodes="RAS"`` becomes the orientation ``"SAR"``, and spacing and window are reversed with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from ...runtime.axes import Anchor
from ...runtime.errors import InputError
from ...runtime.labels.postprocess import Postprocessing
from ...runtime.shown_value import shown
from ...runtime.task import Intensity
from .monai_config import Component

_PLUMBING = {  # how MONAI handles arrays; bedside's runtime has its own
    "LoadImage", "EnsureChannelFirst", "AddChannel", "AsChannelFirst", "EnsureType", "CastToType", "ToTensor",
    "ToDevice", "Identity", "Invert", "SaveImage",
}  # fmt: skip
_CROPS = {"CropForeground"}  # bedside leaves out windows of air instead
_COMMON = {"keys", "allow_missing_keys", "dtype", "lazy"}


@dataclass(frozen=True)
class Preparation:
    """What a bundle's preprocessing asks for, along the network's axes D, H, W.

    Attributes:
        axcodes: axis codes in MONAI's order; None where scans are used as stored.
        pixdim: spacing in mm in MONAI's order; None without resampling.
        anchor: what of a scan the resampled grid keeps in place.
        clip: (low, high) in the scan's own unit.
        factor: network input = clipped value · factor + shift.
        shift: see ``factor``.
        left_out: transforms that bedside's runtime does not need.
    """

    axcodes: str | None = None
    pixdim: tuple[float, float, float] | None = None
    anchor: Anchor = "centre"
    clip: tuple[float, float] | None = None
    factor: float = 1.0
    shift: float = 0.0
    left_out: tuple[str, ...] = ()

    def intensity(self, padding: float) -> Intensity:
        """Returns the intensity settings.

        Args:
            padding: normalised value that pads a scan smaller than the window.

        Raises:
            InputError: no transform limits the intensities.
        """
        if self.clip is None:
            raise InputError(
                "the bundle's preprocessing does not limit the intensities; expected ScaleIntensityRanged with clip"
            )
        low, high = (edge * self.factor + self.shift for edge in self.clip)
        return Intensity(clip=self.clip, scale_to=(low, high), padding=padding)


def translate_preprocessing(transforms: Sequence[Component]) -> Preparation:
    """Translates the transforms before the network.

    Raises:
        InputError: a transform, or an argument of one, has no translation; the message names it.
    """
    prepared = Preparation()
    image = _image_key(transforms)
    for transform in transforms:
        position = _position(transform, image)
        if position is None:
            continue  # of labels or other inputs alone
        name = _name(transform)
        if name in _CROPS:
            prepared = replace(prepared, left_out=(*prepared.left_out, transform.target))
        elif name not in _PLUMBING:
            translate = _TRANSLATIONS.get(name)
            if translate is None:
                raise InputError(f"preprocessing: {transform.target} has no translation into a task of bedside")
            prepared = translate(_Arguments(transform, position), prepared)
    return prepared


def translate_postprocessing(transforms: Sequence[Component], labels: Sequence[str]) -> Postprocessing | None:
    """Translates the transforms after the network; None if there is nothing to remove from a label map.

    Args:
        transforms: the transforms, of the prediction.
        labels: the task's label names, background first.

    Raises:
        InputError: a transform, or an argument of one, has no translation; the message names it.
    """
    largest: list[str] = []
    for transform in transforms:
        name, arguments = _name(transform), _Arguments(transform, 0)
        if name == "Activations":
            arguments.only("softmax")
            arguments.expect("softmax", True)
        elif name == "AsDiscrete":
            arguments.only("argmax")
            arguments.expect("argmax", True)
        elif name == "KeepLargestConnectedComponent":
            arguments.only("applied_labels", "independent", "is_onehot")
            arguments.expect("independent", True, default=True)
            largest += arguments.labels("applied_labels", labels)
        elif name not in _PLUMBING:
            raise InputError(f"postprocessing: {transform.target} has no translation into a bundle of bedside")
    return Postprocessing(largest_component=tuple(dict.fromkeys(largest))) if largest else None


@dataclass(frozen=True)
class _Arguments:
    """The arguments of one transform; ``position`` is that of the image among its keys."""

    transform: Component
    position: int

    def only(self, *known: str) -> None:
        unknown = [key for key in self.transform.raw if key not in _COMMON and key not in known]
        if unknown:
            self.refuse(unknown[0])

    def get(self, key: str, default: Any = None) -> Any:
        return self.transform.get(key, default)

    def expect(self, key: str, *values: Any, default: Any = None) -> None:
        if self.get(key, default) not in values:
            self.refuse(key)

    def number(self, key: str) -> float:
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(key)
        return float(value)

    def of_image(self, key: str, default: Any) -> Any:
        """Returns the value for the image where there is one for each key."""
        value = self.get(key, default)
        if isinstance(value, list) and 0 <= self.position < len(value):
            return value[self.position]
        return value

    def labels(self, key: str, labels: Sequence[str]) -> list[str]:
        value = self.get(key)
        chosen = range(1, len(labels)) if value is None else [value] if isinstance(value, int) else value
        if not (isinstance(chosen, (list, range)) and all(each in range(1, len(labels)) for each in chosen)):
            self.refuse(key)
        return [labels[each] for each in chosen]

    def refuse(self, key: str) -> NoReturn:
        value = shown(self.get(key)) if key in self.transform else "not given"
        raise InputError(f"{self.transform.target}: {key} = {value} has no translation into bedside")


def _orientation(arguments: _Arguments, prepared: Preparation) -> Preparation:
    arguments.only("axcodes")
    axcodes = arguments.get("axcodes")
    if not isinstance(axcodes, str):
        arguments.refuse("axcodes")
    if prepared.pixdim is not None and len({*prepared.pixdim}) > 1:
        raise InputError("Orientationd after an anisotropic Spacingd has no translation into bedside")
    # Which corner of the stored scan came first is no longer known after a flip.
    return replace(prepared, axcodes=axcodes, anchor="centre")


def _spacing(arguments: _Arguments, prepared: Preparation) -> Preparation:
    arguments.only("pixdim", "mode", "padding_mode", "scale_extent", "align_corners", "diagonal", "recompute_affine")
    for key in ("diagonal", "align_corners", "recompute_affine"):
        if arguments.of_image(key, False) not in (False, None):
            arguments.refuse(key)
    if arguments.of_image("mode", "bilinear") not in ("bilinear", 1):
        arguments.refuse("mode")
    if arguments.of_image("padding_mode", "border") not in ("border", "nearest"):
        arguments.refuse("padding_mode")
    pixdim = arguments.get("pixdim")
    steps = [pixdim] * 3 if isinstance(pixdim, (int, float)) else pixdim
    if not (isinstance(steps, list) and len(steps) == 3 and all(_is_number(step) for step in steps)):
        arguments.refuse("pixdim")
    whole = arguments.of_image("scale_extent", False)
    if not isinstance(whole, bool):
        arguments.refuse("scale_extent")
    pixdim = (float(steps[0]), float(steps[1]), float(steps[2]))
    return replace(prepared, pixdim=pixdim, anchor="centre" if whole else "first-voxel")


def _scale_range(arguments: _Arguments, prepared: Preparation) -> Preparation:
    arguments.only("a_min", "a_max", "b_min", "b_max", "clip")
    arguments.expect("clip", True)
    if prepared.clip is not None:
        raise InputError("two transforms that clip intensities have no translation into bedside")
    low, high, start, end = (arguments.number(key) for key in ("a_min", "a_max", "b_min", "b_max"))
    if not low < high:
        arguments.refuse("a_max")
    factor = (end - start) / (high - low)
    return replace(prepared, clip=(low, high), factor=factor, shift=start - low * factor)


def _normalise(arguments: _Arguments, prepared: Preparation) -> Preparation:
    arguments.only("subtrahend", "divisor", "nonzero", "channel_wise")
    arguments.expect("nonzero", False, default=False)
    if prepared.clip is None:
        raise InputError(f"{arguments.transform.target} without ScaleIntensityRanged before it has no translation")
    subtrahend, divisor = arguments.number("subtrahend"), arguments.number("divisor")
    if divisor == 0:
        arguments.refuse("divisor")
    return replace(prepared, factor=prepared.factor / divisor, shift=(prepared.shift - subtrahend) / divisor)


_TRANSLATIONS = {
    "Orientation": _orientation,
    "Spacing": _spacing,
    "ScaleIntensityRange": _scale_range,
    "NormalizeIntensity": _normalise,
}


def _name(transform: Component) -> str:
    """Returns the name of a transform of MONAI's, without the ending of its form for dictionaries."""
    if transform.package and transform.package.split(".")[:2] != ["monai", "transforms"]:
        raise InputError(f'the transform "{transform.path}" is not MONAI\'s, and bedside runs no code of others')
    name = transform.target
    for ending in ("Dict", "D", "d"):
        if name.endswith(ending) and len(name) > len(ending):
            return name.removesuffix(ending)
    return name


def _image_key(transforms: Sequence[Component]) -> str | None:
    loaders = (transform for transform in transforms if _name(transform) == "LoadImage")
    keys = next((_keys(transform) for transform in loaders), [])
    return keys[0] if keys else None


def _position(transform: Component, image: str | None) -> int | None:
    """Returns the position of the image among a transform's keys, 0 without keys; None if it is not among them."""
    keys = _keys(transform)
    if not keys or image is None:
        return 0
    return keys.index(image) if image in keys else None


def _keys(transform: Component) -> list[Any]:
    keys = transform.get("keys", [])
    return keys if isinstance(keys, list) else [keys]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
