import pytest
import torch
from bedside.runtime.errors import InputError
from bedside.training.checkpoint import Position, load_checkpoint, load_weights, save_checkpoint, save_weights


def trained(seed, steps):
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), 0.1)
    for _ in range(steps):
        step(model, optimizer)
    return model, optimizer


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.rand(4, 3)).square().sum().backward()
    optimizer.step()


def test_going_on_from_a_checkpoint_gives_the_weights_of_never_having_stopped(tmp_path):
    model, optimizer = trained(0, 3)
    save_checkpoint(tmp_path / "last.safetensors", model, optimizer, Position(2, 1, 4.5, 0.25))
    for _ in range(3):
        step(model, optimizer)
    resumed, other = trained(1, 1)
    position = load_checkpoint(tmp_path / "last.safetensors", resumed, other)
    for _ in range(3):
        step(resumed, other)
    assert position == Position(2, 1, 4.5, 0.25)
    assert torch.equal(resumed.weight, model.weight)


def test_another_models_weights_are_refused_by_name_and_shape(tmp_path):
    save_weights(tmp_path / "best.safetensors", torch.nn.Linear(3, 2))
    with pytest.raises(InputError, match=r"tensor bias: expected \(5,\), got \(2,\)"):
        load_weights(tmp_path / "best.safetensors", torch.nn.Linear(3, 5))


@pytest.mark.parametrize("cut", [0, 5, 40, 90])
def test_a_truncated_checkpoint_is_refused_in_one_line(tmp_path, cut):
    path = tmp_path / "best.safetensors"
    save_weights(path, torch.nn.Linear(3, 2))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(path, torch.nn.Linear(3, 2))


def test_a_missing_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="was the run trained"):
        load_weights(tmp_path / "best.safetensors", torch.nn.Linear(3, 2))
