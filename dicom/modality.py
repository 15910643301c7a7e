"""What is shown of a header's Modality, whose text may hold anything, such as a name."""

from __future__ import annotations

# Those that archives commonly hold, of the defined terms in PS3.3, C.7.3.1.1.1.
_KNOWN = {
    "AU", "BI", "BMD", "CR", "CT", "CTPROTOCOL", "DG", "DOC", "DX", "ECG", "EPS", "ES", "FID", "GM", "HD", "IO",
    "IVOCT", "IVUS", "KO", "LS", "M3D", "MG", "MR", "NM", "OCT", "OP", "OPM", "OPT", "OPTENF", "OPV", "OSS",
    "OT", "PLAN", "PR", "PT", "PX", "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN",
    "RTRAD", "RTRECORD", "RTSEGANN", "RTSTRUCT", "RWV", "SC", "SEG", "SM", "SMR", "SR", "STAIN", "TG", "US",
    "VA", "XA", "XC",
}  # fmt: skip


def shown_modality(modality: str) -> str:
    """Returns a modality as it may be printed: one of DICOM's terms, or empty as in the header, or "another modality".

    >>> shown_modality("CT"), shown_modality("DOE^JANE")
    ('CT', 'another modality')
    """
    return modality if modality in _KNOWN or not modality else "another modality"
