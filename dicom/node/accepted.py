"""What a node accepts, whichever program receives: transfer syntaxes, and instances that have their identifiers."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import pydicom
from pydicom import uid

# What pydicom and GDCM decode; the deflated syntax is left out, because a small message could unpack to any size.
SYNTAXES = (
    uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless, uid.JPEG2000, uid.RLELossless,
)  # fmt: skip
_IDENTIFIERS = ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]


@dataclass(frozen=True)
class InstanceName:
    """The identifiers by which an instance is put into the queue; they never become part of a name or of the log.

    Attributes:
        patient: Patient ID; empty where there is none.
        study: Study Instance UID; empty where there is none.
        series: Series Instance UID.
        instance: SOP Instance UID.
    """

    patient: str
    study: str
    series: str
    instance: str


def instance_name(content: bytes, requested: str | None = None) -> InstanceName | None:
    """Returns the identifiers of an instance; None where one is missing, or is not that of the request.

    Args:
        content: a DICOM file.
        requested: SOP Instance UID that the sender announced; None where the receiving program has compared it.

    Raises:
        Exception: whatever a damaged element causes in pydicom; its message may hold values of the header.
    """
    header = pydicom.dcmread(BytesIO(content), specific_tags=list(_IDENTIFIERS), stop_before_pixels=True)
    words = [str(header.get(name) or "").strip() for name in _IDENTIFIERS]
    if not words[2] or not words[3] or (requested is not None and words[3] != requested):
        return None
    return InstanceName(*words)
