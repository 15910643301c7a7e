"""bedside: from a large SAM-based teacher to a small 3D segmentation model at the point of care.

The folders are the steps of the way: ``teacher`` adapts SAM to volumes, ``distill`` trains a small SwinUNETR from it,
``export`` writes a verified bundle (ONNX, OpenVINO), ``runtime`` runs that bundle patch by patch without
torch, ``devices`` measures how fast a machine is. ``bedside --help`` lists the commands.

Research software; not a medical device.
"""

import logging
import os

# ONNX Runtime reports to its maker from Linux too, some seconds after a model is loaded; it looks at this when it is
# loaded itself, by whichever package that may be.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # who embeds bedside decides where its log goes
