import warnings

import pytest
import torch
from bedside.runtime.errors import UsageError
from bedside.training.loop.hardware import Hardware, default_workers, make_fabric, use_precision
from bedside.training.loop.interrupt import TrainingInterrupted
from bedside.training.loop.process_group import ProcessGroup
from lightning_fabric.accelerators import CUDAAccelerator
from lightning_fabric.strategies import DDPStrategy, ModelParallelStrategy

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "x",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_WORLD_SIZE": "3",
    "WORLD_SIZE": "6",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "GROUP_RANK": "0",
}
SLURM = {
    "SLURM_NTASKS": "8",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_JOB_NAME": "train",
    "SLURM_JOB_ID": "1",
    "SLURM_NTASKS_PER_NODE": "4",
}


@pytest.fixture
def environment(monkeypatch):
    for name in [*TORCHRUN, *SLURM]:
        monkeypatch.delenv(name, raising=False)
    return lambda values: [monkeypatch.setenv(*pair) for pair in values.items()]


def test_one_process_needs_no_strategy(environment):
    fabric = make_fabric("cpu", "32-true")
    assert not isinstance(fabric.strategy, (DDPStrategy, ModelParallelStrategy))
    assert (ProcessGroup(fabric).size, ProcessGroup(fabric).rank, ProcessGroup(fabric).first) == (1, 0, True)


@pytest.mark.parametrize("in_a_job", [False, True])
def test_lightning_advises_srun_in_a_job_of_slurm_only(environment, tmp_path, monkeypatch, in_a_job):
    environment({"SLURM_JOB_ID": "1"} if in_a_job else {})
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_fabric("cpu", "32-true")
    assert any("srun" in str(warning.message) for warning in caught) is in_a_job


@pytest.mark.parametrize(
    ("name", "kind"), [("auto", DDPStrategy), ("ddp", DDPStrategy), ("fsdp", ModelParallelStrategy)]
)
def test_several_processes_share_the_work_as_asked(environment, name, kind):
    assert isinstance(make_fabric("cpu", "32-true", devices=2, strategy=name).strategy, kind)


@pytest.mark.parametrize(("name", "devices", "warned"), [("fsdp", 1, True), ("fsdp", 2, False), ("ddp", 1, False)])
def test_a_network_that_one_device_cannot_share_is_told(environment, caplog, name, devices, warned):
    make_fabric("cpu", "32-true", devices=devices, strategy=name)
    assert ("--strategy fsdp spreads the network over several devices, and there is one" in caplog.text) is warned


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "auto"])  # the last two need a whole network
def test_on_one_device_fsdp_shards_nothing(precision):
    """Sharded over one process, the class offsets of a training could not be put into its bias."""
    fabric = make_fabric("cpu", precision, strategy="fsdp")
    assert not ProcessGroup(fabric).sharded
    assert type(fabric.setup_module(torch.nn.Linear(1, 1)).weight.data) is torch.Tensor


@pytest.mark.parametrize(("started", "devices", "nodes"), [(TORCHRUN, 2, 3), (SLURM, 4, 2)])
def test_what_a_launcher_has_started_is_taken_as_it_is(environment, started, devices, nodes):
    environment(started)
    strategy = make_fabric("cpu", "32-true").strategy
    assert (strategy.num_processes, strategy.num_nodes) == (devices, nodes)


@pytest.mark.parametrize(
    ("started", "name", "words"),
    [(TORCHRUN, "torchrun", "2 on each of 3 nodes"), (SLURM, "SLURM", "4 on each of 2 nodes")],
)
def test_other_counts_than_the_launchers_are_refused(environment, started, name, words):
    environment(started)
    with pytest.raises(UsageError, match=rf"--devices 5 .* but {name} has started {words}; leave both options out"):
        make_fabric("cpu", "32-true", devices=5)


def test_several_machines_without_a_launcher_are_refused(environment, monkeypatch):
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(UsageError, match=r"--nodes 2: no launcher has started .* with torchrun or srun"):
        make_fabric("cpu", "32-true", nodes=2)
    environment({"MASTER_ADDR": "node1"})
    with pytest.raises(UsageError, match=r"missing: MASTER_PORT, NODE_RANK"):
        make_fabric("cpu", "32-true", nodes=2)
    environment({"MASTER_ADDR": "node1", "MASTER_PORT": "1", "NODE_RANK": "1"})  # started by hand on each machine
    assert make_fabric("cpu", "32-true", nodes=2).strategy.num_nodes == 2


def test_a_device_that_is_not_there_is_told_with_how_many_were_asked_for(environment):
    with pytest.raises(UsageError, match='2 × device "quantum" with precision "32-true" cannot be used'):
        make_fabric("quantum", "32-true", devices=2)


def test_a_device_is_named_in_upper_or_lower_case(environment):
    assert make_fabric("CPU", "32-true").device.type == "cpu"


def test_an_accelerator_that_this_machine_lacks_is_told_in_plain_words(environment, monkeypatch):
    monkeypatch.setattr(CUDAAccelerator, "is_available", staticmethod(lambda: False))
    with pytest.raises(UsageError, match=r'^this machine has no device "cuda"; take --device auto$'):
        make_fabric("cuda", "32-true")


def test_mixed_precision_of_a_sharded_network_on_cpus_is_refused(environment):
    with pytest.raises(UsageError, match="bf16-mixed with --strategy fsdp needs GPUs"):
        make_fabric("cpu", "bf16-mixed", devices=2, strategy="fsdp")


def test_a_sharded_network_cannot_choose_its_precision(environment):
    with pytest.raises(UsageError, match=r"precision auto .* with --strategy fsdp name a precision"):
        make_fabric("cpu", "auto", devices=2, strategy="fsdp")


@pytest.mark.parametrize(("precision", "mixed"), [("bf16-mixed", True), ("32-true", False)])
def test_a_precision_chosen_later_is_that_of_the_network(environment, precision, mixed):
    fabric = make_fabric("cpu", "auto")
    use_precision(fabric, precision)
    seen = []
    network = torch.nn.Conv3d(1, 1, 1)
    network.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    fabric.setup_module(network)(torch.ones(1, 1, 2, 2, 2))
    assert seen == [mixed]


def test_crops_are_loaded_by_the_training_process_itself_on_a_cpu(environment):
    assert default_workers(make_fabric("cpu", "32-true")) == 0


def test_an_outcome_reaches_the_caller_of_a_single_process(environment):
    with pytest.raises(TrainingInterrupted), Hardware("cpu").launched("32-true"):
        raise TrainingInterrupted(15)
