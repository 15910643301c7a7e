import pytest
import torch
from bedside.training.loop.step import DivergedError

from .tiny_fit import make_run, network, train


def test_a_diverging_loss_stops_the_run_in_words(tmp_path, prepared, small_task):
    def broken(logits, batch):
        return logits.sum() * float("nan")

    with pytest.raises(DivergedError, match="the loss became nan in epoch 0; start again with a lower --lr"):
        train(make_run(tmp_path / "run", small_task), prepared, loss=broken)


def test_a_gradient_that_is_no_number_stops_the_run_before_it_reaches_the_weights(tmp_path, prepared, small_task):
    def infinite_slope(logits, batch):
        return logits.mul(0).sum().sqrt()  # value 0, derivative infinite times 0

    model = network()
    before = model.weight.detach().clone()
    with pytest.raises(DivergedError, match="the gradient became nan"):
        train(make_run(tmp_path / "run", small_task), prepared, model=model, loss=infinite_slope)
    assert torch.equal(model.weight, before)


def test_frozen_parameters_do_not_move(tmp_path, prepared, small_task):
    model = network()
    model.weight.requires_grad_(False)
    before, bias = model.weight.clone(), model.bias.detach().clone()
    train(make_run(tmp_path / "run", small_task), prepared, model=model)
    assert torch.equal(model.weight, before)
    assert not torch.equal(model.bias, bias)
