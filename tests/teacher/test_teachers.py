"""One conformance suite for all families of teachers: those of this package, and one of an installed package."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
import torch
import torch.distributed as distributed
from bedside.runtime.errors import UsageError
from bedside.teacher import TEACHERS, teacher_config
from bedside.teacher.config import OptionKind, TeacherConfig
from bedside.teacher.cost import predict_cost
from bedside.teacher.families import recorded_config
from bedside.teacher.parameters import count_parameters
from bedside.training.loop.hardware import _shard
from bedside.training.loop.objective import all_logits
from bedside.training.runs.run_config import ModelConfig
from torch.distributed.device_mesh import init_device_mesh

torch.set_num_threads(1)

CLASSES = 4


@pytest.fixture(params=[*TEACHERS, "tiny"])
def config(request, tiny_networks) -> TeacherConfig:
    """The smallest network of a family."""
    return teacher_config(request.param, **TEACHERS.find(request.param).smallest)


def smallest_patch(config):
    return config.patch_rule.smallest


def make(config):
    """A network for the smallest patch."""
    torch.manual_seed(0)
    return config.build(CLASSES, smallest_patch(config))


def images(config, batch=1):
    torch.manual_seed(1)
    return torch.rand(batch, 1, *smallest_patch(config))


def trained(model):
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def test_logits_have_one_channel_per_class_at_input_resolution(config):
    edge, _, longest = smallest_patch(config)
    for patch in (longest, (longest, edge, edge), (edge, 2 * edge, longest)):
        size = (patch,) * 3 if isinstance(patch, int) else patch
        with torch.no_grad():
            logits = config.build(CLASSES, patch)(torch.rand(1, 1, *size))
        assert logits.shape == (1, CLASSES, *size)
        assert logits.isfinite().all()


def test_patches_of_a_batch_do_not_influence_each_other(config):
    model, batch = make(config).eval(), images(config, batch=2)
    with torch.no_grad():
        together, alone = model(batch), torch.cat([model(batch[:1]), model(batch[1:])])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_training_and_evaluation_mode_agree(config):
    model, x = make(config), images(config)
    with torch.no_grad():
        assert torch.equal(model.train()(x), model.eval()(x))


def test_the_same_seed_gives_the_same_logits(config):
    x = images(config)
    with torch.no_grad():
        assert torch.equal(make(config)(x), make(config)(x))


def test_gradients_reach_every_trainable_tensor_and_no_frozen_one(config):
    model = make(config)
    assert any(parameter.requires_grad for parameter in model.parameters())
    sum(logits.square().sum() for logits in all_logits(model(images(config)))).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name
        else:
            assert parameter.grad is None, name


@pytest.fixture
def mesh():
    """A process group of this process alone, over which parameters are spread."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        yield init_device_mesh("cpu", (1,), mesh_dim_names=("data_parallel",))
    finally:
        distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module:UserWarning")
def test_spread_over_processes_it_computes_and_learns_the_same(config, mesh):
    x, whole, spread = images(config), make(config), _shard(make(config), mesh)
    expected, found = all_logits(whole(x)), all_logits(spread(x))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    for output in (expected, found):
        sum(logits.square().sum() for logits in output).backward()
    for (name, one), other in zip(whole.named_parameters(), spread.parameters(), strict=True):
        if one.requires_grad:
            torch.testing.assert_close(other.grad.full_tensor(), one.grad, msg=name)


def test_patches_outside_the_familys_rule_are_refused(config):
    edge, _, longest = smallest_patch(config)
    short = [longest - edge] if longest > edge else []
    for patch in (longest + 1, edge // 2, (longest, edge, 3 * edge // 2), (longest, edge), 0, *short):
        with pytest.raises(UsageError, match=f"in multiples of {edge} voxels"):
            config.build(CLASSES, patch)
    with pytest.raises(UsageError, match="num_classes: expected a whole number from 2"):
        config.build(1, edge)


def test_what_a_run_records_builds_the_network_that_its_weights_fit(config):
    record = msgspec.json.decode(msgspec.json.encode(config.recorded()), type=ModelConfig)
    again = recorded_config(record)
    assert again == config.resolved()
    model, other = make(config), again.build(CLASSES, smallest_patch(config))
    assert trained(other) == trained(model)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(other(images(config)), model(images(config)))


def test_an_option_that_a_run_does_not_record_has_the_value_it_had_in_such_runs(config):
    earlier = {name: each.metadata["unrecorded"] for name, each in config.options().items()}
    assert recorded_config(ModelConfig(kind="teacher", name=config.name)) == type(config)(name=config.name, **earlier)


def test_a_run_of_the_same_options_is_continued_with_them(config):
    assert config.resolved().continuing(config.recorded()) == config.resolved()


def test_files_are_recorded_by_name_and_hash_and_not_read_back(config, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"")
    files = [name for name, each in config.options().items() if each.metadata["kind"] is OptionKind.FILE]
    given = teacher_config(config.name, **dict.fromkeys(files, tmp_path / "weights.pth"))
    options = given.recorded().options
    for name in files:
        assert options[name] == "weights.pth"
        assert options[f"{name}_sha256"].startswith("e3b0c442")  # SHA-256 of nothing
    assert recorded_config(given.recorded()) == given.without_files().resolved()


def test_an_option_of_another_family_is_refused_by_name(config):
    with pytest.raises(UsageError, match=f'teacher "{config.name}" has no option "colour"; expected: '):
        teacher_config(config.name, colour=3)


def test_the_cost_of_a_step_is_predicted(config):
    cost = predict_cost(config, num_classes=CLASSES, patch=smallest_patch(config))
    assert cost.parameters == count_parameters(make(config), config.component)
    assert sum(cost.parameters.components.values()) == cost.parameters.trainable
    assert cost.title.startswith(config.name)
    assert cost.step_flops > cost.forward_flops > 0


def test_every_option_has_a_line_of_help(config):
    assert all(each.metadata["help"].endswith(".") for each in config.options().values())


def test_importing_the_package_does_not_import_torch():
    code = "import sys, bedside.teacher; sys.exit('torch' in sys.modules or 'segment_anything' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
