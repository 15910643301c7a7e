"""One training by several processes; Lightning Fabric starts this script once more for each of the others.

Arguments: run directory, processes, strategy, then the folders of the prepared cases. The network is in
`networks.py`; every process leaves its number in a file of the run directory named after its rank.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from bedside.training.crops import CropSource
from bedside.training.fit import fit
from bedside.training.hardware import Hardware
from bedside.training.interrupt import TrainingInterrupted
from bedside.training.losses import segmentation_loss
from bedside.training.prepare import PreparedCase
from bedside.training.run import Run
from networks import small_network

run, processes, strategy = Run.open(Path(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
cases = [PreparedCase.open(Path(folder)) for folder in sys.argv[4:]]
try:
    with Hardware("cpu", devices=processes, strategy=strategy).launched("32-true") as fabric:
        (run.path / f"rank{fabric.global_rank}").write_text(str(os.getpid()))
        loss = segmentation_loss()
        fit(
            run, small_network(), lambda logits, batch: loss(logits, batch["label"]),
            [CropSource(case) for case in cases], cases, fabric,
        )  # fmt: skip
except TrainingInterrupted as stopped:
    sys.exit(int(stopped.exit_code))
