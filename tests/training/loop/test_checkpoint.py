import pytest
import torch
from bedside.runtime.errors import InputError, ResourceError
from bedside.training.loop.checkpoint import Checkpoint, Position, load_weights, restore, save_checkpoint, save_weights
from bedside.training.loop.loss_watch import LossTrend
from safetensors import safe_open
from safetensors.torch import load_file, save_file


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


def restored(path, model, optimizer):
    checkpoint = Checkpoint.read(path)
    restore(checkpoint, model, optimizer)
    return checkpoint.position


def test_going_on_from_a_checkpoint_gives_the_weights_of_never_having_stopped(tmp_path):
    model, optimizer = trained(0, 3)
    save_checkpoint(tmp_path / "last.safetensors", model, optimizer, Position(2, 1, 4.5, 0.25))
    for _ in range(3):
        step(model, optimizer)
    resumed, other = trained(1, 1)
    position = restored(tmp_path / "last.safetensors", resumed, other)
    for _ in range(3):
        step(resumed, other)
    assert position == Position(2, 1, 4.5, 0.25)
    assert torch.equal(resumed.weight, model.weight)


def test_a_checkpoint_of_version_0_1_knows_parameters_by_their_place(tmp_path):
    """As `torch.optim` numbers them: weight, then bias."""
    model, optimizer = trained(0, 3)
    tensors = {f"model.{name}": tensor.detach() for name, tensor in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{key}": value for key, value in state.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    meta = {"bedside": '{"epoch": 2, "step": 1, "loss_sum": 4.5, "best": null}'}
    save_file(tensors, tmp_path / "last.safetensors", metadata=meta)
    resumed, other = trained(1, 1)
    assert restored(tmp_path / "last.safetensors", resumed, other) == Position(2, 1, 4.5)
    for pair in ((model, optimizer), (resumed, other)):
        torch.manual_seed(5)
        step(*pair)
    assert torch.equal(resumed.weight, model.weight)


def test_the_trend_of_the_loss_is_part_of_a_checkpoint(tmp_path):
    position = Position(2, 1, 4.5, 0.25, LossTrend((1.0, 2.0), 3.0, 1.5, warned=True))
    save_checkpoint(tmp_path / "last.safetensors", *trained(0, 3), position)
    assert restored(tmp_path / "last.safetensors", *trained(1, 1)) == position
    with safe_open(tmp_path / "last.safetensors", "pt") as file:
        assert '"told":true' in file.metadata()["bedside"]  # as earlier versions read and write it


def test_frozen_parameters_have_no_place_in_the_optimisers_state(tmp_path):
    model = torch.nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    optimizer = torch.optim.AdamW([model.bias], 0.1)
    step(model, optimizer)
    save_checkpoint(tmp_path / "last.safetensors", model, optimizer, Position())
    names = {name for name in load_file(tmp_path / "last.safetensors") if name.startswith("optimizer.")}
    assert names == {"optimizer.bias.step", "optimizer.bias.exp_avg", "optimizer.bias.exp_avg_sq"}


@pytest.mark.parametrize("place", [-1, -9, 300])
def test_a_single_changed_bit_is_noticed(tmp_path, place):
    path = tmp_path / "best.safetensors"
    save_weights(path, torch.nn.Linear(300, 2))
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(path, torch.nn.Linear(300, 2))


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
    with pytest.raises(InputError, match="train it to the end first"):
        load_weights(tmp_path / "best.safetensors", torch.nn.Linear(3, 2))


def test_a_checkpoint_that_cannot_be_opened_for_want_of_descriptors_is_not_a_missing_one(tmp_path, no_descriptors):
    save_checkpoint(tmp_path / "last.safetensors", *trained(0, 1), Position(0, 1, 1.0))
    Checkpoint.read(tmp_path / "last.safetensors")
    with no_descriptors(), pytest.raises(ResourceError, match="Too many open files"):
        Checkpoint.read(tmp_path / "last.safetensors")
