import pytest
import torch
from bedside.training.loop.step import DivergedError
from bedside.training.recipe import Recipe

from .tiny_fit import figures, make_run, network, objective, train


def test_a_diverging_loss_stops_the_run_in_words(tmp_path, prepared, small_task):
    def broken(logits, batch):
        return {"labels": logits.sum() * float("nan")}

    message = (
        r"the loss became nan in epoch 0; start again with a lower --lr, and another -o$"  # it is in 32-true already
    )
    with pytest.raises(DivergedError, match=message):
        train(make_run(tmp_path / "run", small_task), prepared, loss=broken)


def test_a_gradient_that_is_no_number_stops_the_run_before_it_reaches_the_weights(tmp_path, prepared, small_task):
    def infinite_slope(logits, batch):
        return {"labels": logits.mul(0).sum().sqrt()}  # value 0, derivative infinite times 0

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


def two_terms(logits, batch):
    terms = objective(logits, batch)
    return {**terms, "teacher": 2 * terms["labels"]}


def test_the_gradients_of_several_terms_are_measured_in_mixed_precision_too(
    tmp_path, prepared, small_task, monkeypatch
):
    monkeypatch.setattr("bedside.training.loop.step.check_precision", lambda *_: None)
    recipe = Recipe(epochs=1, steps_per_epoch=2, warmup=0, precision="bf16-mixed")
    run = make_run(tmp_path / "run", small_task, recipe)
    train(run, prepared, loss=two_terms)
    (row,) = run.rows()
    assert float(row["gradient_teacher"]) == pytest.approx(2 * float(row["gradient_labels"]), rel=1e-4)


def test_the_gradients_of_several_terms_are_measured_once_an_epoch_and_kept_by_a_resumed_run(
    tmp_path, prepared, small_task
):
    class StoppedError(Exception):
        pass

    def stop(done, total, note):
        if done == 5:  # inside the third epoch
            raise StoppedError

    whole, cut = (make_run(tmp_path / name, small_task) for name in ("whole", "cut"))
    train(whole, prepared, loss=two_terms)
    with pytest.raises(StoppedError):
        train(cut, prepared, loss=two_terms, progress=stop)
    train(cut, prepared, loss=two_terms)
    assert figures(cut) == figures(whole)
    for row in whole.rows():
        assert float(row["gradient_teacher"]) == pytest.approx(2 * float(row["gradient_labels"]), rel=1e-4)


def test_the_gradient_of_a_term_that_weighs_more_in_the_first_batch_is_that_at_its_mean_weight(
    tmp_path, prepared, small_task
):
    class Weighted:
        def __init__(self, weight):
            self.by = weight

        def __call__(self, logits, batch):
            terms = two_terms(logits, batch)
            return {**terms, "labels": self.by * terms["labels"]}

        def weight(self, term, batch):
            return self.by if term == "labels" else 1.0

    recipe = Recipe(epochs=1, steps_per_epoch=1, warmup=0)
    measured = []
    for weight in (4.0, 0.0):
        run = make_run(tmp_path / f"run-{weight}", small_task, recipe)
        train(run, prepared, loss=Weighted(weight))
        measured.append([float(run.rows()[0][f"gradient_{term}"]) for term in ("labels", "teacher")])
    (labels, teacher), unlabelled = measured
    assert teacher == pytest.approx(2 * labels, rel=1e-4)
    assert unlabelled == [0, pytest.approx(teacher)]
