import os

import pytest
import torch
from bedside.runtime.errors import ExitCode, ResourceError
from bedside.training.loop.process_group import FirstProcessFailed, ProcessGroup, _Failure


class TwoProcesses:
    """A stand-in for Fabric with two processes: this one, and another that sends the given values."""

    def __init__(self, rank, answer=None):
        self.global_rank, self.world_size, self.is_global_zero = rank, 2, rank == 0
        self.strategy, self.said, self._answer = None, [], answer

    def broadcast(self, value):
        self.said.append(value)
        return value if self.is_global_zero else self._answer


def test_the_first_process_works_before_the_others():
    fabric = TwoProcesses(0)

    def work():
        assert not fabric.said
        return "done"

    assert ProcessGroup(fabric).first_then_others(work) == "done"
    assert fabric.said == [None]


def test_what_the_first_process_cannot_do_is_told_to_the_others():
    fabric = TwoProcesses(0)

    def work():
        raise ResourceError("the disk is full")

    with pytest.raises(ResourceError):
        ProcessGroup(fabric).first_then_others(work)
    assert [(told.message, told.code) for told in fabric.said] == [("the disk is full", 5)]


def test_the_others_do_not_try_what_the_first_could_not_do():
    tried = []
    with pytest.raises(FirstProcessFailed, match="the disk is full") as failed:
        ProcessGroup(TwoProcesses(1, _Failure("the disk is full", ExitCode.RESOURCE))).first_then_others(
            lambda: tried.append(os.getpid())
        )
    assert failed.value.exit_code == ExitCode.RESOURCE
    assert not tried


@pytest.mark.parametrize(("rank", "expected"), [(0, [1.0, 2.0]), (1, [5.0, 6.0])])
def test_tensors_get_the_values_of_the_first_process(rank, expected):
    tensors = [torch.tensor([1.0]), torch.tensor([2.0])]
    of_the_first = TwoProcesses(rank, answer=[torch.tensor([5.0]), torch.tensor([6.0])])
    ProcessGroup(of_the_first).copy_from_first(iter(tensors))
    assert [float(tensor) for tensor in tensors] == expected
