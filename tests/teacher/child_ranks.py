"""Trainings by two processes of `bedside train-teacher`, as torchrun starts them, forked from one that loads torch.

Reads, as JSON, a mapping from a folder to the words of the command. Into the folder go the exit codes, all that was
said, and what each process notes: which scans and weights it opens, and the data it was given to train on. The network
and the loop are stand-ins.
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training" / "loop"))
sys.path.insert(0, str(Path(__file__).parents[1] / "plugins"))

import torch  # noqa: F401 - once here, not in every child
from bedside.cli.main import run as command_line
from bedside.training import train as training_train
from bedside.training.loop.fit import FitResult
from ranks import as_torchrun, forked, free_port

opened = []
sys.addaudithook(
    lambda event, given: (
        opened.append(Path(os.fsdecode(given[0])).name)
        if event == "open" and isinstance(given[0], str | bytes)
        else None
    )
)


def fit(run, setup, fabric, **_):
    heard = {
        "opened": sorted({name for name in opened if name.endswith((".nii.gz", ".pth"))}),
        "data_hash": run.config.data_hash,
        "weights": run.config.model.options["checkpoint_sha256"],
        "cases": [source.case.name for source in setup.sources],
        "mean": float(setup.sources[0].case.image().mean()),
    }
    (run.path.parent / f"rank{fabric.global_rank}.json").write_text(json.dumps(heard))
    return FitResult(None, 0.0)


training_train.fit = fit

for name, words in json.load(sys.stdin).items():
    folder, port = Path(name), free_port()

    def command(said=folder / "words", words=words):
        os.dup2(os.open(said, os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
        return command_line(["train-teacher", *words])

    children = [forked(command, as_torchrun(rank, port)) for rank in range(2)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    (folder / "codes.json").write_text(json.dumps(codes))
