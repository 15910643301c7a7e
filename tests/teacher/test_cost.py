"""What a training step is said to cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from bedside.runtime.errors import UsageError
from bedside.runtime.memory.resident import resident_bytes
from bedside.teacher import build_teacher, teacher_config
from bedside.teacher.autosam.config import AutoSamConfig
from bedside.teacher.cost import Cost, DeviceMemory, predict_cost
from bedside.teacher.parameters import ParameterCounts
from bedside.teacher.simulated_step import LiveMemory, StepMemory
from bedside.training.loop.losses import segmentation_loss

torch.set_num_threads(1)

GB = 10**9
NANO = AutoSamConfig(sam="vit_nano")


@pytest.fixture(scope="module")
def nano() -> Cost:
    return predict_cost(NANO, num_classes=4, patch=(32, 64, 32))


def made_up(peak: int = 3 * GB) -> Cost:
    memory = StepMemory(weights=GB, gradients=GB // 4, optimiser=GB // 2, activations=GB, peak=peak)
    return Cost("a teacher", ParameterCounts(250, 60, {"adapters": 60}), 2 * 10**12, 7 * 10**12, memory)


def test_predicted_memory_is_what_a_real_step_holds(nano):
    torch.manual_seed(0)
    with LiveMemory(workspace=True) as live:
        model = build_teacher("autosam", num_classes=4, sam="vit_nano", patch=(32, 64, 32))
        model = model.to(torch.float32)
        trainable = [p for p in model.parameters() if p.requires_grad]
        images, labels = torch.rand(1, 1, 32, 64, 32), torch.zeros(1, 1, 32, 64, 32)
        live.peak = 0  # what building took is over
        logits = model(images)
        segmentation_loss()(logits, labels).backward()
    states = 2 * sum(p.numel() for p in trainable) * 4
    assert nano.memory.peak == pytest.approx(live.peak + states, rel=0.02)


def test_memory_is_weights_gradients_two_states_and_activations(nano):
    memory = nano.memory
    coordinates = 4 * 512 * 24 * 4  # the one-hot key coordinates of four blocks; masks are a few hundred numbers
    assert memory.weights - 4 * nano.parameters.total == pytest.approx(coordinates, rel=0.1)
    assert memory.gradients == 4 * nano.parameters.trainable
    assert memory.optimiser == 2 * memory.gradients
    assert memory.peak > memory.weights + memory.optimiser + memory.activations


def test_an_encoder_that_trains_needs_gradients_and_states_too(nano):
    frozen = predict_cost(replace(NANO, train_encoder=False), num_classes=4, patch=(32, 64, 32))
    sams = nano.parameters.components["encoder"]
    assert nano.parameters.trainable - frozen.parameters.trainable == sams == 943_968 - 2 * 4 * 2 * 96
    assert nano.memory.gradients - frozen.memory.gradients == 4 * sams
    assert nano.memory.optimiser - frozen.memory.optimiser == 8 * sams
    assert nano.memory.peak > frozen.memory.peak
    assert (nano.forward_flops, nano.memory.weights) == (frozen.forward_flops, frozen.memory.weights)
    assert nano.step_flops > frozen.step_flops


def test_checkpointing_takes_less_memory_and_more_work(nano):
    checkpointed = predict_cost(replace(NANO, checkpoint_activations=True), num_classes=4, patch=(32, 64, 32))
    assert checkpointed.memory.activations < 0.75 * nano.memory.activations
    assert checkpointed.memory.peak < 0.9 * nano.memory.peak
    assert checkpointed.forward_flops == nano.forward_flops
    assert 1.02 < checkpointed.step_flops / nano.step_flops < 1.4


def test_bfloat16_takes_less_memory_and_a_larger_batch_takes_more(nano):
    options = {"config": NANO, "num_classes": 4, "patch": (32, 64, 32)}
    # What is kept is half the size, but for norms and for the weights, which are kept in bfloat16 too.
    assert predict_cost(**options, precision="bf16-mixed").memory.activations < 0.85 * nano.memory.activations
    two = predict_cost(**options, batch=2)
    assert two.memory.activations == pytest.approx(2 * nano.memory.activations, rel=0.05)
    assert two.forward_flops == pytest.approx(2 * nano.forward_flops, rel=0.02)


def test_work_of_a_linear_layer_is_two_per_weight_and_token(nano):
    # All linear layers of the four blocks: 12·C² of SAM's and C² of the adapter, 1024 tokens of C = 96.
    linear = 2 * 4 * 13 * 96**2 * 8 * 16 * 8
    assert linear < nano.forward_flops < 8 * linear
    assert nano.step_flops > 2.5 * nano.forward_flops


def test_vit_b_at_128_is_described_without_the_memory_it_would_take():
    before = resident_bytes()
    cost = predict_cost(AutoSamConfig(), num_classes=14)
    assert cost.memory.peak > 10 * GB
    assert cost.memory.weights > 0.46 * GB
    assert resident_bytes() - before < 0.3 * GB


def test_figures_for_people_name_everything_and_the_verdict():
    lines = made_up().lines(DeviceMemory("a GPU", 4 * GB))
    text = "\n".join(lines)
    for figure in ("a teacher", "250", "60", "adapters", "2.000 TFLOP", "7.000 TFLOP", "3.00 GB", "0.25 GB", "0.50 GB"):
        assert figure in text, figure
    assert lines[-1] == "fits: 3.0 GB of 4.0 GB free (a GPU)"


def test_what_does_not_fit_says_what_to_do():
    verdict = made_up().lines(DeviceMemory("a GPU", 2 * GB))[-1]
    assert verdict.startswith("does not fit: 3.0 GB of 2.0 GB free (a GPU); use a smaller patch or batch")


def test_figures_for_programs_are_plain_numbers():
    record = made_up().record(DeviceMemory("a GPU", 2 * GB))
    assert record["parameters"] == 250
    assert record["memory_bytes"]["peak"] == 3 * GB
    assert record["available_bytes"] == 2 * GB
    assert record["fits"] is False
    assert "fits" not in made_up().record()


@pytest.mark.parametrize("device", ["cpu", "CPU"])
def test_room_at_hand_is_this_machines_memory_where_a_cpu_is_asked_for(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    room = DeviceMemory.available(device)
    assert room.name == "this machine's memory"
    assert room.free > 0


def test_wrong_options_are_refused_as_in_building():
    with pytest.raises(UsageError, match="in multiples of 32 voxels"):
        predict_cost(AutoSamConfig(), num_classes=4, patch=48)
    with pytest.raises(UsageError, match='no teacher "x"'):
        predict_cost(teacher_config("x"), num_classes=4)
