"""Devices, processes and nodes of a training, set up with Lightning Fabric."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import ACCELERATOR_REGISTRY
from lightning_fabric.plugins import MixedPrecision, Precision
from lightning_fabric.plugins.environments import (
    LSFEnvironment,
    MPIEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning_fabric.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch.distributed.device_mesh import DeviceMesh

from ...runtime.errors import ExitCode, ResourceError, UsageError
from ...runtime.files.shared_memory import SHARED_MEMORY_TOO_SMALL, is_shared_memory_error
from ...runtime.spelling import canonical
from ..recipe import TrainingPrecision
from .process_group import AgreedOutcome
from .process_watch import PROCESS_LOST, ProcessWatch

_log = logging.getLogger("bedside.training")

StrategyName = Literal["auto", "ddp", "fsdp"]

_MEETING_POINT = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")  # environment variables, as Fabric reads them
_TIMEOUT = timedelta(hours=12)  # the other processes wait while the first process prepares a large data set
_LOST_PEER = re.compile(r"gloo|nccl|connection (was )?(closed|reset|refused)|broken pipe", re.IGNORECASE)


@dataclass(frozen=True)
class Hardware:
    """Where a training runs. Only the number of processes affects the result: more use more crops per step.

    Attributes:
        device: "auto", "cpu", "cuda" or another accelerator of Lightning Fabric, in upper or lower case.
        devices: processes per node, one device each; None: as many as torchrun or SLURM started, else one.
        nodes: number of machines; None: as many as torchrun or SLURM uses, else one.
        strategy: "ddp" keeps the whole network on every device, "fsdp" shards it over them; "auto" is "ddp" for
            several processes.
        workers: threads that load crops, per training process; None: `default_workers`.
    """

    device: str = "auto"
    devices: int | None = None
    nodes: int | None = None
    strategy: StrategyName = "auto"
    workers: int | None = None

    @contextmanager
    def launched(self, precision: str, *, idle_parameters: bool = False) -> Generator[Fabric]:
        """Yields a Fabric with all processes running; the processes started here end with the block.

        Only the first process raises an `AgreedOutcome`. The others exit silently (`SystemExit`), with the outcome's
        exit code if torchrun or SLURM started them, else with 0.

        Args:
            precision: as in `make_fabric`.
            idle_parameters: as in `make_fabric`.

        Raises:
            UsageError: the device does not exist, or the options contradict each other or the launcher.
            ResourceError: another process of the training has died, or shared memory is too small.
        """
        fabric = make_fabric(
            self.device,
            precision,
            devices=self.devices,
            nodes=self.nodes,
            strategy=self.strategy,
            idle_parameters=idle_parameters,
        )
        with ProcessWatch(fabric) as watch:
            try:
                fabric.launch()
                with _without_stride_warning():
                    yield fabric
            except AgreedOutcome as error:
                watch.finish()
                if fabric.is_global_zero:
                    raise
                # A child that fails would make the first process end before it reports the outcome.
                raise SystemExit(ExitCode.OK if watch.is_child else error.exit_code) from None
            except BaseException as error:
                watch.kill()
                if is_shared_memory_error(error):  # raised by NCCL, for example
                    raise ResourceError(SHARED_MEMORY_TOO_SMALL) from error
                if fabric.world_size > 1 and isinstance(error, RuntimeError) and _LOST_PEER.search(str(error)):
                    raise ResourceError(PROCESS_LOST) from error
                raise
            watch.finish()


@contextmanager
def _without_stride_warning() -> Generator[None]:
    """Silences DDP's warning, on every process, about the gradient strides of depth-wise convolutions.

    The mismatch costs a copy of these gradients, 27 numbers per channel.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
        yield


@contextmanager
def _without_srun_hint() -> Generator[None]:
    """Silences Lightning's advice to use srun, outside SLURM jobs: the head node of a cluster trains as any machine."""
    with warnings.catch_warnings():
        if "SLURM_JOB_ID" not in os.environ:
            warnings.filterwarnings("ignore", message="The `srun` command is available")
        yield


@_without_srun_hint()
def make_fabric(
    device: str,
    precision: str,
    *,
    devices: int | None = None,
    nodes: int | None = None,
    strategy: StrategyName = "auto",
    idle_parameters: bool = False,
) -> Fabric:
    """Builds the Fabric that moves model and data to the device.

    Args:
        device: as in `Hardware`.
        precision: number format, as Fabric names it; "auto": float32 until `use_precision` gives it another.
        devices: processes per node, as in `Hardware`.
        nodes: number of machines, as in `Hardware`.
        strategy: as in `Hardware`.
        idle_parameters: whether trained parameters may have no part in some steps, which then do not change them.

    Raises:
        UsageError: the device does not exist, the counts differ from the launcher's, or "fsdp" shards a network whose
            gradients are to be compared in two number formats: with "auto", and with mixed precision on CPUs.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces every process
    per_node, nodes = _processes(devices, nodes)
    if strategy == "fsdp" and per_node * nodes == 1:
        _log.warning("--strategy fsdp spreads the network over several devices, and there is one: it is left out")
        strategy = "auto"
    known = ACCELERATOR_REGISTRY
    device = canonical(device, ("auto", "gpu", *known))
    try:
        fabric = Fabric(
            accelerator=device,
            devices=per_node,
            num_nodes=nodes,
            precision="32-true" if precision == "auto" else precision,  # pyright: ignore[reportArgumentType]
            strategy=_strategy(strategy, per_node * nodes, idle_parameters=idle_parameters),
        )
        kind = fabric.device.type
    except (ValueError, RuntimeError, ImportError, MisconfigurationException) as error:
        if device in known and not known[device]["accelerator"].is_available():
            raise UsageError(f'this machine has no device "{device}"; take --device auto') from None
        what = f'{per_node} × device "{device}"' if per_node > 1 else f'device "{device}"'
        raise UsageError(
            f'{what} with precision "{precision}" cannot be used: {" ".join(str(error).split())}; '
            "take --device auto, or another number of devices"
        ) from None
    if strategy == "fsdp" and precision == "auto":
        raise UsageError("precision auto tries the whole network on one device; with --strategy fsdp name a precision")
    if kind == "cpu" and precision != "32-true" and strategy == "fsdp":
        raise UsageError(f"precision {precision} with --strategy fsdp needs GPUs; on CPUs give --strategy ddp")
    return fabric


def use_precision(fabric: Fabric, precision: TrainingPrecision) -> None:
    """Gives a Fabric that has not set up a network yet another number format than it was made with."""
    mixed = precision == "bf16-mixed"
    fabric.strategy.precision = MixedPrecision("bf16-mixed", fabric.device.type) if mixed else Precision()


def default_workers(fabric: Fabric) -> int:
    """Returns the default number of threads that load crops for one training process.

    With a GPU: up to four, limited by the cores. On a CPU: none, because a loader thread takes its core from the step,
    and crops took only 0.2 % of the time of a nano teacher and 3 % of that of the smallest student with its teacher's
    probabilities.
    """
    if fabric.device.type == "cpu":
        return 0
    with suppress(AttributeError):  # not on macOS and Windows
        return max(1, min(4, len(os.sched_getaffinity(0)) // _local_size(fabric) - 1))
    return max(1, min(4, (os.cpu_count() or 1) // _local_size(fabric) - 1))


def _local_size(fabric: Fabric) -> int:
    return getattr(fabric.strategy, "num_processes", 1)


@_without_srun_hint()
def launched_processes() -> tuple[str, int, int] | None:
    """Returns the launcher that has started this process, its processes per node and nodes; None without a launcher.

    An allocation of SLURM in which a person works is none, whatever number of tasks it has room for.
    """
    if TorchElasticEnvironment.detect():
        return "torchrun", int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    if SLURMEnvironment.detect():
        nodes = int(os.environ.get("SLURM_NNODES", "1"))
        return "SLURM", int(os.environ["SLURM_NTASKS"]) // nodes, nodes
    return None


def _processes(devices: int | None, nodes: int | None) -> tuple[int, int]:
    """Returns (processes per node, nodes) from the arguments or the launcher.

    Raises:
        UsageError: the arguments differ from what torchrun or SLURM has started, or nothing tells the other
            machines where this one is.
    """
    if found := launched_processes():
        name, started, started_nodes = found
        if (devices or started, nodes or started_nodes) != (started, started_nodes):
            raise UsageError(
                f"--devices {devices or started} --nodes {nodes or started_nodes} was asked for, but {name} has "
                f"started {started} on each of {started_nodes} nodes; leave both options out, or change its own"
            )
        return started, started_nodes
    launched = LSFEnvironment.detect() or MPIEnvironment.detect()
    missing = [name for name in _MEETING_POINT if name not in os.environ]
    if nodes is not None and nodes > 1 and missing and not launched:  # it would wait for the others for hours
        raise UsageError(
            f"--nodes {nodes}: no launcher has started this process, and the machines would not find each other; start "
            "the training with torchrun or srun, without --devices and --nodes, or set "
            f"{', '.join(_MEETING_POINT)} on each (missing: {', '.join(missing)})"
        )
    return devices or 1, nodes or 1


def _strategy(name: StrategyName, processes: int, *, idle_parameters: bool) -> str | Strategy:
    if name == "fsdp":
        return ModelParallelStrategy(_shard, data_parallel_size=processes, tensor_parallel_size=1, timeout=_TIMEOUT)
    if name == "ddp" or processes > 1:
        return DDPStrategy(timeout=_TIMEOUT, gradient_as_bucket_view=True, find_unused_parameters=idle_parameters)
    return "auto"


def _shard(model: torch.nn.Module, mesh: DeviceMesh) -> torch.nn.Module:
    """Shards a network over the processes: first each block in a ``ModuleList``, then the remaining parameters.

    The parameters of a block, such as a transformer block, are gathered only while it runs.
    """
    from torch.distributed.fsdp import fully_shard

    over = mesh["data_parallel"]
    for container in [each for each in model.modules() if isinstance(each, torch.nn.ModuleList)][::-1]:  # inner first
        for block in container:
            if any(True for _ in block.parameters()):
                fully_shard(block, mesh=over)
    fully_shard(model, mesh=over)
    return model
