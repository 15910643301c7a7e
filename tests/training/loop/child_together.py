"""Trainings by two processes each, from one process that loads torch once and forks the others.

Arguments: run directory of a training with DDP, whose processes find themselves started as torchrun starts them; run
directory of another such one, of a network with deep supervision and batch normalisation; run directory of one with
FSDP, whose second process the product starts; then the folders of the prepared cases. Ends with the exit code of the
last. The networks are in `networks.py`; every process leaves its number in a file of the run directory named after its
rank, and in another one its buffers of the last validation.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from bedside.training.data.crops import CropSource
from bedside.training.data.prepared_case import PreparedCase
from bedside.training.loop.fit import TrainingSetup, fit
from bedside.training.loop.hardware import Hardware
from bedside.training.loop.interrupt import TrainingInterrupted
from bedside.training.loop.losses import segmentation_loss
from bedside.training.runs.run import Run
from lightning_fabric.strategies.launchers import subprocess_script
from networks import DeepNetwork, small_network
from ranks import as_torchrun, forked, forked_helper, free_port

loss = segmentation_loss()
cases = [PreparedCase.open(Path(folder)) for folder in sys.argv[4:]]


def train(path, strategy, devices, network=small_network):
    run = Run.open(Path(path))
    try:
        with Hardware("cpu", devices=devices, strategy=strategy).launched(
            "32-true", idle_parameters=run.config.recipe.auxiliary_alone > 0
        ) as fabric:
            (run.path / f"rank{fabric.global_rank}").write_text(str(os.getpid()))
            model = network()
            setup = TrainingSetup(
                model=model,
                objective=lambda logits, batch: {"labels": loss(logits, batch["label"])},
                sources=[CropSource(case) for case in cases],
                validation=cases,
            )
            fit(run, setup, fabric)
            statistics = {name: buffer.tolist() for name, buffer in model.named_buffers()}
            (run.path / f"statistics{fabric.global_rank}").write_text(json.dumps(statistics))
    except TrainingInterrupted as stopped:
        return int(stopped.exit_code)
    return 0


for path, network in ((sys.argv[1], small_network), (sys.argv[2], lambda: DeepNetwork(normalised=True))):
    port = free_port()

    def with_ddp(path=path, network=network):
        return train(path, "ddp", None, network)

    children = [forked(with_ddp, as_torchrun(rank, port)) for rank in range(2)]
    ends = [os.waitpid(child, 0)[1] for child in children]
    if any(ends):
        sys.exit("a training with DDP failed")
subprocess_script.subprocess.Popen = forked_helper(lambda: train(sys.argv[3], "fsdp", 2))
sys.exit(train(sys.argv[3], "fsdp", 2))
