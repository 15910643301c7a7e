"""Compares the two geometries of a NIfTI header, sform and qform, and chooses the affine of the volume.

A qform is a rotation with spacings, so it cannot express a gantry tilt. Programs that write a sheared sform (dcm2niix,
nibabel) write the closest rotation as the qform. These two do not contradict each other, and only the sform is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from nibabel.spatialimages import HeaderDataError

from ..errors import Choice, InputError
from .geometry import Grid

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from numpy.typing import NDArray

    from ..axes import XYZ

Form = Literal["sform", "qform"]
FORMS = ("sform", "qform")

_HALF_VOXEL = 0.5
_LAST_FORM_CODE = 5  # "template, other"
_MILLIMETRES = (0, 2)  # 0 = no unit; every writer means mm by it
_SHEAR_FACTOR = 1.5  # an axis of the qform may deviate by this multiple of the shear's angle; 1.42 if sheared twice
_USE_SFORM = "use the sform (--use-sform) or correct the header"
_CHOOSE = "choose one (--use-sform or --use-qform)"
_CHOICES: dict[str, tuple[Form, ...]] = {_USE_SFORM: ("sform",), _CHOOSE: ("sform", "qform")}


def affine_of(header: Nifti1Header, shape: XYZ, prefer: Form | None) -> NDArray[np.float64]:
    """Returns the affine of a volume.

    If ``prefer`` names a form, only that one is checked, with one exception: a qform beside a sheared sform is refused,
    because it cannot be right.

    Args:
        header: the file's header, with its fields as stored.
        shape: number of voxels.
        prefer: the form to use if both disagree; None refuses such a header.

    Raises:
        InputError: no form is set, the form to use is invalid, or both are set and disagree.
    """
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MILLIMETRES:
        raise InputError(f"units: expected millimetres (code 2), got code {unit}; correct the header")
    present = _forms_set(header, prefer)
    if prefer == "sform":
        return _sform(header)
    if prefer == "qform":
        if "sform" in present:
            _refuse_qform_beside_shear(header, shape)
        return _qform(header, present)
    if present == ["qform"]:
        return _qform(header, present)
    sform = Grid(shape, _sform(header))
    _compare_spacing(header, sform, present)
    if "qform" in present:
        _compare(sform, _qform(header, present))
    return sform.affine


def qform_deviation(header: Nifti1Header, shape: XYZ) -> float:
    """Returns the largest distance between a corner of the volume by qform and by sform, in voxels along an axis.

    Raises:
        InputError: one of the two is invalid.
    """
    return _corner_distance(Grid(shape, _sform(header)), _qform(header, ["sform", "qform"]))


def _forms_set(header: Nifti1Header, prefer: Form | None) -> list[str]:
    codes = {form: int(header[f"{form}_code"]) for form in ("sform", "qform")}
    needed = {form: code for form, code in codes.items() if prefer in (None, form)}
    if not all(0 <= code <= _LAST_FORM_CODE for code in needed.values()):
        remedy = _USE_SFORM if prefer is None and 0 < codes["sform"] <= _LAST_FORM_CODE else "correct the header"
        raise _refusal(f"orientation: expected sform and qform codes 0…{_LAST_FORM_CODE}, got {codes}", remedy)
    present = [form for form, code in codes.items() if code > 0]
    if not present:
        raise InputError("orientation: neither sform nor qform is set, left and right are unknown; set one of them")
    if prefer is not None and prefer not in present:
        raise InputError(f"orientation: no {prefer} is set, only a {present[0]}; leave out the choice of a form")
    return present


def _sform(header: Nifti1Header) -> NDArray[np.float64]:
    return np.asarray(header.get_sform(), float)


def _qform(header: Nifti1Header, present: list[str]) -> NDArray[np.float64]:
    remedy = _USE_SFORM if "sform" in present else "correct the header"
    pixdim = _pixdim(header)
    if not _positive(pixdim):
        raise _refusal(f"spacing: expected positive millimetres, got pixdim {pixdim.tolist()}", remedy)
    try:
        header = header.copy()
        if header["pixdim"][0] == 0:  # the standard: qfac 0 reads as 1
            header["pixdim"][0] = 1
        return np.asarray(header.get_qform(), float)
    except (HeaderDataError, ValueError):
        raise _refusal("geometry: the qform is not a rotation", remedy) from None


def _pixdim(header: Nifti1Header) -> NDArray[np.float64]:
    return np.asarray(header["pixdim"][1:4], float)


def _positive(pixdim: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(pixdim).all() and (pixdim > 0).all())


def _refuse_qform_beside_shear(header: Nifti1Header, shape: XYZ) -> None:
    try:
        sform = Grid(shape, _sform(header))
    except InputError:  # the sform is invalid, so the qform is the only geometry
        return
    if sform.is_sheared:
        raise InputError(f"geometry: {_tilt(sform)}, which no qform can express; leave out --use-qform")


def _compare_spacing(header: Nifti1Header, sform: Grid, present: list[str]) -> None:
    """Refuses spacings in pixdim that are not positive, or more than half a voxel off over the volume's length.

    For a sheared grid, pixdim may hold the distance between voxels or the one between planes.
    """
    pixdim = _pixdim(header)
    if not _positive(pixdim):
        raise _refusal(
            f"spacing: expected positive millimetres, got pixdim {pixdim.tolist()} beside an sform of "
            f"{_mm(sform.spacing)}",
            _USE_SFORM,
        )
    spacing = np.asarray(sform.spacing)
    planes = 1 / np.linalg.norm(np.linalg.inv(sform.affine[:3, :3]), axis=1)
    off = (pixdim - np.clip(pixdim, np.minimum(planes, spacing), spacing)) / spacing
    if np.abs(off * (np.asarray(sform.shape) - 1)).max() > _HALF_VOXEL:
        rival = "pixdim (the qform's spacing)" if "qform" in present else "pixdim"
        remedy = _CHOOSE if "qform" in present and not sform.is_sheared else _USE_SFORM
        raise _refusal(f"geometry: sform and {rival} disagree ({_mm(sform.spacing)} against {_mm(pixdim)})", remedy)


def _compare(sform: Grid, qform: NDArray[np.float64]) -> None:
    """Refuses two geometries that place a corner of the volume more than half a voxel apart, except by a shear."""
    apart = _corner_distance(sform, qform)
    if apart <= _HALF_VOXEL or _differs_by_shear_alone(sform, qform):
        return
    if sform.is_sheared:
        raise _refusal(
            f"geometry: {_tilt(sform)}, which no qform can express, and this qform differs further "
            f"(corners {apart:.3g} voxels apart)",
            _USE_SFORM,
        )
    raise _refusal(
        f"geometry: sform ({sform.axes}, {_mm(sform.spacing)}) and qform place the volume's corners "
        f"{apart:.3g} voxels apart",
        _CHOOSE,
    )


def _refusal(message: str, remedy: str) -> InputError:
    choices = [Choice("prefer", form, f"use the {form}") for form in _CHOICES.get(remedy, ())]
    return InputError(f"{message}; {remedy}", choices)


def _corner_distance(sform: Grid, qform: NDArray[np.float64]) -> float:
    """Returns the largest distance of a corner in two geometries, in voxels along an axis; NaN if one has NaN."""
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in sform.shape], indexing="ij")).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    return float(np.abs(np.linalg.inv(sform.affine) @ qform @ corners - corners).max())


def _differs_by_shear_alone(sform: Grid, qform: NDArray[np.float64]) -> bool:
    """Whether the qform has the sform's first voxel, and its axes deviate no more than the shear explains."""
    start = np.linalg.inv(sform.affine) @ qform[:, 3]
    directions, rotated = (affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0) for affine in (sform.affine, qform))
    angles = 2 * np.arcsin(np.minimum(1, np.linalg.norm(directions - rotated, axis=0) / 2))
    return bool(
        np.abs(start[:3]).max() <= _HALF_VOXEL and angles.max() <= _SHEAR_FACTOR * np.radians(sform.shear_degrees)
    )


def _tilt(sform: Grid) -> str:
    return f"the sform is sheared by {sform.shear_degrees:.3g}° (gantry tilt)"


def _mm(spacing: Any) -> str:
    return " × ".join(f"{step:.4g}" for step in spacing) + " mm"
