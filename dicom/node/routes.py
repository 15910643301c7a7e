"""What `node.toml` says of series and results: which bundle segments which series, and where its result goes."""

from __future__ import annotations

from typing import Literal

from ...runtime.checked_struct import CheckedStruct
from ...runtime.errors import FieldError
from .field_checks import check_ae_title, check_between, check_not_empty

Orientation = Literal["axial", "coronal", "sagittal"]


class Peer(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of ``[[peers]]``: a node that results go to, or that is asked for counts.

    Attributes:
        name: how rules call it.
        ae_title: its AE title.
        address: its host name or address.
        port: its port.
        tls: whether it is called with the certificates of ``[tls]``.
    """

    name: str
    ae_title: str
    address: str
    port: int
    tls: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_empty("name", self.name)
        check_ae_title("ae_title", self.ae_title)
        check_not_empty("address", self.address)
        check_between("port", self.port, 1, 65535)


class Rule(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of ``[[rules]]``: which series a bundle segments. The first that fits a series is taken.

    Attributes:
        name: its name in the log.
        bundle: bundle directory or zip, relative to the file.
        send_to: names of the peers that get the result.
        modality: Modality that fits; None for that of the bundle's task.
        body_parts: values of Body Part Examined that fit, in any case; empty for all, also for none given.
        orientation: plane of the slices that fits; None for all.
        slice_distance_mm: least and greatest distance of slices that fits; None for all.
        pixel_mm: least and greatest pixel spacing that fits; None for all.
        binary: whether the segmentation has a frame for each organ, for viewers that know no label maps.
        report: whether a structured report of the volumes is sent too.
        contours: whether an RT structure set is sent too.
    """

    name: str
    bundle: str
    send_to: tuple[str, ...]
    modality: str | None = None
    body_parts: tuple[str, ...] = ()
    orientation: Orientation | None = None
    slice_distance_mm: tuple[float, float] | None = None
    pixel_mm: tuple[float, float] | None = None
    binary: bool = False
    report: bool = False
    contours: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_empty("name", self.name)
        check_not_empty("bundle", self.bundle)
        if not self.send_to:
            raise FieldError("send_to: expected the name of a peer, got none")
        for name in ("slice_distance_mm", "pixel_mm"):
            bounds = getattr(self, name)
            if bounds is not None and not 0 <= bounds[0] <= bounds[1] < float("inf"):
                raise FieldError(f"{name}: expected [least, greatest] in mm, got [{bounds[0]:g}, {bounds[1]:g}]")
