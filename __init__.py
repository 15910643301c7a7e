"""bedside: from a large SAM-based teacher to a small 3D segmentation model at the point of care.

The folders are the steps of the way: ``teacher`` adapts SAM to volumes, ``distill`` trains a small SwinUNETR from it,
``export`` writes a verified bundle (ONNX, OpenVINO, TensorRT), ``runtime`` runs that bundle patch by patch without
torch, ``devices`` measures and predicts how fast a machine is. ``bedside --help`` lists the commands.

Research software; not a medical device.
"""

__version__ = "0.1.0"
