"""One training by two processes.

Arguments: run directory, strategy, who starts the processes, then the folders of the prepared cases. With "own" the
product starts the second one (Lightning Fabric runs this script once more); with "torchrun" they find themselves
started, with torchrun's environment. The network is in `networks.py`; every process leaves its number in a file of the
run directory named after its rank.
"""

import os
import socket
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

run, strategy, starter = Run.open(Path(sys.argv[1])), sys.argv[2], sys.argv[3]
cases = [PreparedCase.open(Path(folder)) for folder in sys.argv[4:]]
loss = segmentation_loss()


def train():
    devices = 2 if starter == "own" else None
    try:
        with Hardware("cpu", devices=devices, strategy=strategy).launched("32-true") as fabric:
            (run.path / f"rank{fabric.global_rank}").write_text(str(os.getpid()))
            fit(
                run, small_network(), lambda logits, batch: loss(logits, batch["label"]),
                [CropSource(case) for case in cases], cases, fabric,
            )  # fmt: skip
    except TrainingInterrupted as stopped:
        return int(stopped.exit_code)
    return 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(rank, port):
    """Forks a process as torchrun would have started it; loading torch once is enough."""
    child = os.fork()
    if child:
        return child
    code = 1
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": str(rank),
        "LOCAL_RANK": str(rank), "GROUP_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "1",
    }  # fmt: skip
    try:
        code = train()
    finally:
        sys.stderr.flush()
        os._exit(code)


if starter == "own":
    sys.exit(train())
port = str(free_port())
children = [started(rank, port) for rank in range(2)]
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
