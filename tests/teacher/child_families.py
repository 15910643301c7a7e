"""Two steps of two processes each, for each family of teachers, forked from one process that loads torch.

Arguments: a folder, then the names of families. Process 0 leaves the gradients of the second step and the loss of its
own half of the batch in a file of the folder named after the family.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "training" / "loop"))

import torch
import torch.distributed as distributed
from bedside.teacher import TEACHERS, teacher_config
from family_step import halves, loss_of, network
from ranks import as_torchrun, forked, free_port
from torch.nn.parallel import DistributedDataParallel

torch.set_num_threads(1)
folder, *names = sys.argv[1:]


def train(rank: int) -> int:
    distributed.init_process_group("gloo")
    for name in names:
        config = teacher_config(name, **TEACHERS.find(name).smallest)
        model = network(config, seed=rank)  # DDP gives all processes the first one's weights
        wrapped = DistributedDataParallel(model, gradient_as_bucket_view=True)
        for _ in range(2):  # parameters without a gradient show at the second step
            model.zero_grad()
            loss = loss_of(wrapped, halves(config)[rank])
            loss.backward()
        if rank == 0:
            gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
            torch.save({"gradients": gradients, "loss": loss.detach()}, Path(folder) / f"{name}.pt")
    distributed.destroy_process_group()
    return 0


port = free_port()
children = [forked(lambda rank=rank: train(rank), as_torchrun(rank, port)) for rank in range(2)]
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
