"""The loss of a network with deep supervision, and its training in two phases."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
import torch
from bedside.training.loop.objective import DeepLogits, all_logits, supervised_terms, total
from bedside.training.recipe import Recipe

from .tiny_fit import figures, make_run, train

sys.path.insert(0, str(Path(__file__).parent))
from networks import DeepNetwork

TWO_PHASES = Recipe(
    epochs=4, steps_per_epoch=3, lr=0.05, optimizer="sgd", momentum=0.9, weight_decay=0.1, warmup=0, auxiliary_alone=0.5
)


def mean_of(logits, batch):
    return {"labels": logits.mean() + batch["label"].float().mean()}


def test_levels_count_half_of_the_one_before_and_all_of_them_as_much_as_the_logits():
    levels = tuple(torch.full((1, 2, 4, 4, 4), value) for value in (1.0, 2.0, 4.0))
    output = DeepLogits(torch.full((1, 2, 4, 4, 4), 10.0), levels)
    terms = supervised_terms(mean_of, output, {"label": torch.zeros(1, 1, 4, 4, 4)})
    assert terms["labels"] == 10
    assert float(terms["auxiliary"]) == pytest.approx((4 * 1 + 2 * 2 + 1 * 4) / 7)
    assert float(total(terms)) == pytest.approx(10 + 12 / 7)


def test_labels_of_a_coarser_level_are_those_of_the_voxels_in_the_middle():
    labels = torch.arange(64.0).reshape(1, 1, 4, 4, 4)
    seen = []

    def loss(logits, batch):
        seen.append(batch["label"])
        return mean_of(logits, batch)

    levels = torch.zeros(1, 2, 4, 4, 4), torch.zeros(1, 2, 4, 2, 2)
    supervised_terms(loss, DeepLogits(None, levels), {"label": labels})
    assert torch.equal(seen[0], labels)
    assert torch.equal(seen[1], labels[..., 1::2, 1::2])


def test_without_logits_the_auxiliary_ones_are_the_loss():
    output = DeepLogits(None, (torch.ones(1, 2, 2, 2, 2),)).float()
    assert supervised_terms(mean_of, output, {"label": torch.zeros(1, 1, 2, 2, 2)}).keys() == {"auxiliary"}
    assert all_logits(output) == [output.auxiliary[0]]


def test_logits_alone_go_to_the_objective_as_they_are():
    logits = torch.ones(1, 2, 2, 2, 2)
    assert supervised_terms(mean_of, logits, {"label": torch.zeros(1, 1, 2, 2, 2)}) == {"labels": 1}
    assert all_logits(logits) == [logits]


def test_in_the_first_phase_what_comes_after_the_auxiliary_logits_keeps_its_weights(tmp_path, prepared, small_task):
    model = DeepNetwork()
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    moved = []

    def watch(done, total, note):
        moved.append({name for name, tensor in model.state_dict().items() if not torch.equal(tensor, start[name])})

    train(make_run(tmp_path / "run", small_task, TWO_PHASES), prepared, model=model, progress=watch)
    first = {"shared.weight", "shared.bias", "auxiliary.weight", "auxiliary.bias"}
    assert moved[5] == first  # after two of four epochs of three steps each
    assert moved[6] == first | {"last.weight", "last.bias"}


@pytest.mark.parametrize("stop_at", [2, 6, 8])
def test_a_run_stopped_in_either_phase_goes_on_to_the_same_weights(stop_at, tmp_path, prepared, small_task):
    class StoppedError(Exception):
        pass

    def stop(done, total, note):
        if done == stop_at:
            raise StoppedError

    recipe = msgspec.structs.replace(TWO_PHASES, checkpoint_every=1)
    whole, cut = (make_run(tmp_path / name, small_task, recipe) for name in ("whole", "cut"))
    _, expected = train(whole, prepared, model=DeepNetwork())
    with pytest.raises(StoppedError):
        train(cut, prepared, model=DeepNetwork(), progress=stop)
    _, resumed = train(cut, prepared, model=DeepNetwork())
    assert figures(cut) == figures(whole)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


def test_the_loss_of_the_second_phase_is_not_taken_for_a_divergence(tmp_path, prepared, small_task, caplog):
    recipe = msgspec.structs.replace(TWO_PHASES, epochs=2, steps_per_epoch=55, lr=0.001)
    run = make_run(tmp_path / "run", small_task, recipe)
    train(run, prepared, model=DeepNetwork())
    before, after = (float(row["loss"]) for row in run.rows())
    assert after > 1.5 * before
    assert not [message for message in caplog.messages if "climbing" in message]


def test_a_network_with_deep_supervision_trains_in_bfloat16(tmp_path, prepared, small_task):
    recipe = msgspec.structs.replace(TWO_PHASES, precision="bf16-mixed")
    result, _ = train(make_run(tmp_path / "run", small_task, recipe), prepared, model=DeepNetwork())
    assert 0 < result.loss < 10


def test_sgd_has_nesterovs_momentum(tmp_path, prepared, small_task):
    def loss(logits, batch):
        return {"labels": logits.mean()}  # the gradient of a bias is 1/2 at every step

    recipe = Recipe(epochs=1, steps_per_epoch=3, lr=0.1, optimizer="sgd", momentum=0.9, weight_decay=0.0, warmup=0)
    run = make_run(tmp_path / "run", small_task, recipe)
    _, model = train(run, prepared, loss=loss)
    torch.manual_seed(0)
    start = torch.nn.Conv3d(1, 2, 1).bias
    velocity = [0.5, 0.5 * 1.9, 0.5 * 2.71]
    expected = start - 0.1 * sum(0.5 + 0.9 * each for each in velocity)
    torch.testing.assert_close(model.bias, expected)
