"""A DICOM node: series in by C-STORE, segmentations out. Needs the extra ``dicom``; never torch."""
