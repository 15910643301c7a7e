import os
import signal

import pytest
import torch
from bedside.training.loop.checkpoint import Checkpoint, Position, restore, save_checkpoint
from bedside.training.loop.interrupt import TrainingInterrupted
from bedside.training.loop.weight_average import WeightAverage
from bedside.training.recipe import Recipe
from safetensors.torch import load_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from .tiny_fit import RECIPE, figures, make_run, network, train

AVERAGED = Recipe(epochs=4, steps_per_epoch=3, lr=0.2, warmup=0, positive=1.0, validate_every=2, average_weights=0.6)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_average_is_the_sum_by_its_definition(optimizer):
    model = network()
    rule = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}[optimizer](
        model.parameters(), lr=0.1, **({"momentum": 0.9} if optimizer == "sgd" else {})
    )
    average, expected = WeightAverage(model, rule, 0.6), None
    for step in range(1, 9):
        model(torch.randn(1, 1, 2, 2, 2)).sum().backward()
        rule.step()
        rule.zero_grad()
        average.update(step)
        kept = min(0.6, (1 + step) / (10 + step))
        weight = model.weight.detach().clone()
        expected = weight if expected is None else kept * expected + (1 - kept) * weight
    own = model.weight.detach().clone()
    with average.in_use():
        assert torch.allclose(model.weight, expected, atol=1e-6)
        assert not torch.allclose(model.weight, own, atol=1e-3)
    assert torch.equal(model.weight, own)


def test_a_parameter_that_begins_late_counts_its_own_steps(tmp_path):
    """The bias is 100 in its first step and 0 from then on; at full decay 82 of the 100 would be left after 200."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    average, kept = WeightAverage(model, optimizer, 0.999), 100.0
    for step in range(1, 1201):
        model.weight.grad = torch.zeros_like(model.weight)
        if step > 1000:
            model.bias.grad = torch.zeros_like(model.bias)
            torch.nn.init.constant_(model.bias, 100.0 if step == 1001 else 0.0)
        optimizer.step()
        optimizer.zero_grad()
        average.update(step)
        if step == 1100:  # as a resumed run does
            save_checkpoint(tmp_path / "c", model, optimizer, Position())
            optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
            restore(Checkpoint.read(tmp_path / "c"), model, optimizer)
            average = WeightAverage(model, optimizer, 0.999)
        if step > 1001:
            kept *= (1 + step - 1000) / (10 + step - 1000)
    assert kept < 1e-9
    with average.in_use():
        assert model.bias.tolist() == pytest.approx([kept, kept], rel=1e-3)


def test_a_sharded_network_resumes_with_the_same_average(tmp_path):
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        mesh, averages = init_device_mesh("cpu", (1,)), []
        for resumed in (False, True):
            torch.manual_seed(0)
            model = fully_shard(network(), mesh=mesh)
            optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
            average = WeightAverage(model, optimizer, 0.6)
            if resumed:
                restore(Checkpoint.read(tmp_path / "c"), model, optimizer)
            for step in range(3 if resumed else 1, 5):
                model(torch.full((1, 1, 2, 2, 2), float(step))).sum().backward()
                optimizer.step()
                optimizer.zero_grad()
                average.update(step)
                if step == 2:
                    save_checkpoint(tmp_path / "c", model, optimizer, Position())
            with average.in_use():
                averages.append([parameter.full_tensor().clone() for parameter in model.parameters()])
    finally:
        torch.distributed.destroy_process_group()
    assert all(torch.equal(one, other) for one, other in zip(*averages, strict=True))


def test_a_checkpoint_without_the_first_steps_goes_on_as_before():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    optimizer.state[model.weight]["average"] = torch.zeros_like(model.weight)
    torch.nn.init.ones_(model.weight)
    WeightAverage(model, optimizer, 0.9).update(11)
    assert optimizer.state[model.weight]["average"].flatten().tolist() == pytest.approx([1 - 12 / 21] * 2)


def test_the_networks_own_weights_come_back_after_an_error():
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5)
    average = WeightAverage(model, optimizer, 0.6)
    for step in (1, 2):
        model(torch.ones(1, 1, 2, 2, 2)).sum().backward()
        optimizer.step()
        average.update(step)
    own = model.weight.detach().clone()
    seen = []
    with pytest.raises(ZeroDivisionError), average.in_use():
        seen.append(model.weight.detach().clone() / (1 // 0))
    assert torch.equal(model.weight, own)


def test_a_frozen_weight_has_no_average_and_stays():
    model = network()
    model.bias.requires_grad_(False)
    optimizer = torch.optim.AdamW([model.weight], lr=0.1)
    average, bias = WeightAverage(model, optimizer, 0.9), model.bias.detach().clone()
    model(torch.ones(1, 1, 2, 2, 2)).sum().backward()
    optimizer.step()
    average.update(1)
    with average.in_use():
        assert torch.equal(model.bias, bias)


def test_running_statistics_stay_the_networks_own():
    model = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 1), torch.nn.BatchNorm3d(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    average = WeightAverage(model, optimizer, 0.9)
    for step in (1, 2):
        model(torch.randn(2, 1, 3, 3, 3)).square().sum().backward()
        optimizer.step()
        average.update(step)
    own, running = model[0].weight.detach().clone(), model[1].running_mean.clone()
    with average.in_use():
        assert not torch.equal(model[0].weight, own)
        assert torch.equal(model[1].running_mean, running)


def test_a_run_keeps_the_average_and_trains_on_from_its_own_weights(tmp_path, prepared, small_task):
    plain, averaged = make_run(tmp_path / "plain", small_task), make_run(tmp_path / "averaged", small_task, AVERAGED)
    _, own = train(plain, prepared)
    _, model = train(averaged, prepared)
    assert torch.equal(model.weight, own.weight)  # the training itself is the same
    kept = load_file(averaged.best)["model.weight"]
    assert not torch.allclose(kept, own.weight, atol=1e-4)
    assert torch.equal(load_file(plain.best)["model.weight"], own.weight.detach())


@pytest.mark.parametrize("where", ["loss", "validating, 1 of 2"])
def test_a_stopped_and_resumed_run_has_the_same_average(tmp_path, prepared, small_task, where):
    whole, parts = (make_run(tmp_path / name, small_task, AVERAGED) for name in ("whole", "parts"))
    train(whole, prepared, validation=prepared)

    def stop(done, total, note):
        if where in note and done >= 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted):
        train(parts, prepared, validation=prepared, progress=stop)
    train(parts, prepared, model=torch.nn.Conv3d(1, 2, 1), validation=prepared)
    assert torch.equal(load_file(parts.best)["model.weight"], load_file(whole.best)["model.weight"])
    assert figures(parts) == figures(whole)


def test_the_recipe_of_the_papers_averages_nothing():
    assert RECIPE.average_weights == 0
