"""Class offsets: what they do to each class's Dice, how a network takes them in, and what a training makes of them."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import torch
from bedside.distill import STUDENTS
from bedside.runtime.errors import Cancelled
from bedside.training.data.ignore_label import IGNORED
from bedside.training.loop.class_offsets import (
    best_offsets,
    count_voxels,
    dice_curves,
    last_bias,
    offset_classes,
    warn_of_no_offsets,
)
from bedside.training.loop.hardware import make_fabric
from bedside.training.loop.interrupt import TrainingInterrupted
from bedside.training.loop.process_group import ProcessGroup
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from bedside.training.scores.metrics import dice_per_class
from msgspec.structs import replace
from safetensors.torch import load_file, save_file

from .tiny_fit import make_run, network, relabelled, train

OFFSETS = np.arange(-60, 61) / 20


def random_logits(case, classes, seed=0):
    return 2 * torch.randn(classes, *case.labels().shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def four_classes(tmp_path, prepared):
    labels = np.random.default_rng(0).integers(0, 3, prepared[0].labels().shape).astype(np.uint16)
    labels[:2] = IGNORED
    return relabelled(prepared[0], tmp_path / "case", labels, ignored=int((labels == IGNORED).sum()))


@pytest.mark.parametrize("place", [0, 37, 60, 61, 120])
def test_a_classs_curve_is_the_dice_of_the_labels_with_its_logit_moved(four_classes, place):
    logits = random_logits(four_classes, 4)
    (curves,) = dice_curves(count_voxels(logits, four_classes)[None])
    assert curves.shape == (4, 121)
    for label in (1, 2):
        moved = logits.clone()
        moved[label] += OFFSETS[place]
        truth = np.asarray(four_classes.labels())
        expected = dice_per_class(moved.argmax(0).numpy(), truth, 4, four_classes.ignored_voxels())
        assert curves[label, place] == pytest.approx(expected[label], abs=1e-9)


def test_background_and_absent_classes_have_no_curve_and_no_offset(four_classes):
    voxels = count_voxels(random_logits(four_classes, 4), four_classes)[None]
    assert np.isnan(dice_curves(voxels)[0, [0, 3]]).all()
    assert (best_offsets(voxels)[[0, 3]] == 0).all()


def test_of_equally_good_offsets_the_smallest_is_taken():
    voxels = np.zeros((2, 3, 2, 121))
    voxels[:, [0, 2], 1] = 10000  # as many as there are
    voxels[0, 1, 1], voxels[1, 1, 1] = 5000, 7000
    assert best_offsets(voxels)[1] == 0
    voxels[:, 1, 1, 80:] += 1000
    assert best_offsets(voxels)[1] == pytest.approx(OFFSETS[80])
    voxels[:, 1, 1, 90] += 2  # noise
    assert best_offsets(voxels)[1] == pytest.approx(OFFSETS[80])


def test_a_case_without_the_organ_counts_as_if_one_had_been_found_beside_what_is_drawn():
    """An offset of +1 finds the missed half of the organ in one case, and draws voxels in nine that have none."""
    voxels = np.zeros((10, 3, 2, 121))
    voxels[0, 2, 1] = 1000
    voxels[0, :2, 1] = np.where(OFFSETS >= 1, 1000, 500)
    for drawn, chosen in ((50, 1.0), (500, 0.0)):  # of 0.333 gained in the one case, nine lose 0.024 or 0.2 each
        voxels[1:, 0, 1] = np.where(OFFSETS >= 1, drawn, 0)
        assert best_offsets(voxels)[1] == pytest.approx(chosen)


@pytest.mark.parametrize("student", STUDENTS)
def test_every_student_takes_offsets_in_its_last_bias(student):
    torch.manual_seed(0)
    model = STUDENTS.find(student).build(3).eval()
    image = torch.rand(1, 1, 32, 32, 64)
    offsets = torch.tensor([0, 0.5, -1.25])
    with torch.no_grad():
        before = model(image)
        bias = last_bias(model, 3, (32, 32, 64))
        assert torch.equal(model(image), before)
        bias += offsets.repeat_interleave(len(bias) // 3)
        after = model(image)
    torch.testing.assert_close((after - before).mean((0, 2, 3, 4)), offsets, rtol=0, atol=1e-4)
    assert (after - before).std((0, 2, 3, 4)).max() < 1e-4


def test_a_network_without_a_last_bias_is_told_and_stays_as_it_is():
    model = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 1), torch.nn.ReLU(), torch.nn.Conv3d(4, 2, 1, bias=False)).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert last_bias(model, 2, (4, 4, 4)) is None
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def shy():
    """A network that tells the cube from the body, and calls neither a cube: its logit is 1 too low."""
    model = network()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([0.0, 8.0])[:, None, None, None, None])
        model.bias.copy_(torch.tensor([0.0, -8.0]))
    return model


def test_a_training_gives_its_best_weights_the_offsets_that_raise_the_dice(tmp_path, prepared, small_task, caplog):
    recipe = Recipe(epochs=1, steps_per_epoch=1, lr=1e-9, warmup=0)
    plain = make_run(tmp_path / "plain", small_task, recipe)
    without, _ = train(plain, prepared, model=shy(), validation=prepared)
    assert without.best < 0.5
    assert not plain.best_weights().has_class_offsets
    weights = load_file(plain.best)
    # the same run goes on: its training is over, the offsets are not
    run = Run.create(plain.path, replace(plain.config, recipe=replace(recipe, class_offsets=True)), resume=True)
    caplog.set_level("INFO", "bedside.training")
    result, _ = train(run, prepared, model=shy(), validation=prepared)
    assert result.best > 0.99
    assert "class offsets cube +" in caplog.text
    moved = load_file(run.best)
    assert torch.equal(moved["model.weight"], weights["model.weight"])
    assert moved["model.bias"][0] == weights["model.bias"][0]
    assert 0.5 < moved["model.bias"][1] - weights["model.bias"][1] < 3
    assert Run.open(run.path).config.recipe.class_offsets
    assert run.best_weights().class_offsets.epochs == 1
    assert run.best_weights().has_class_offsets
    again, _ = train(run, prepared, model=shy(), validation=prepared)
    assert torch.equal(load_file(run.best)["model.bias"], moved["model.bias"])
    assert again.best == result.best


@pytest.mark.parametrize(("dice", "raised"), [(None, True), (0.9, True), (1.0, False)])
def test_offsets_are_kept_only_if_they_raise_the_dice_that_validation_found(small_task, prepared, dice, raised):
    """Where logits tie, as they do in bfloat16, the curves at offset 0 may show another Dice than validation."""
    model, group = shy().eval(), ProcessGroup(make_fabric("cpu", "32-true"))
    before = model.bias.detach().clone()
    with torch.no_grad():
        found = offset_classes(
            model, model, prepared, small_task, group,
            dice=dice, overlap=0.0, agree=lambda: None, progress=lambda *_: None,
        )  # fmt: skip
    assert (found is not None) == (not torch.equal(model.bias, before)) == raised
    assert found is None or found > 0.99


def test_a_search_that_finds_no_offsets_keeps_weights_and_dice(tmp_path, prepared, small_task):
    """The network has the right labels already, so that no offset raises its Dice."""
    recipe = Recipe(epochs=1, steps_per_epoch=1, lr=1e-9, warmup=0, class_offsets=True)
    run, model = make_run(tmp_path / "run", small_task, recipe), shy()
    with torch.no_grad():
        model.bias[1] += 2
    result, model = train(run, prepared, model=model, validation=prepared)
    found = run.best_weights()
    assert found.class_offsets.epochs == 1
    assert not found.has_class_offsets
    assert found.final_dice == found.dice == result.best
    assert torch.equal(load_file(run.best)["model.bias"], model.bias.detach())


def test_a_training_whose_network_has_no_last_bias_says_so_and_keeps_its_best(tmp_path, prepared, small_task, caplog):
    recipe = Recipe(epochs=1, steps_per_epoch=1, lr=1e-9, warmup=0, class_offsets=True)
    run = make_run(tmp_path / "run", small_task, recipe)
    result, model = train(run, prepared, model=torch.nn.Conv3d(1, 2, 1, bias=False), validation=prepared)
    assert "gets no class offsets: its last layer has no bias" in caplog.text
    assert result.best == pytest.approx(float(run.rows()[-1]["dice"]), rel=1e-5)
    assert torch.equal(load_file(run.best)["model.weight"], model.weight.detach())
    assert run.best_weights().class_offsets.epochs == 1


def test_a_sharded_network_gets_no_offsets_and_that_is_said(small_task, prepared, caplog):
    called = {"dice": None, "overlap": 0.0, "agree": lambda: None, "progress": lambda *_: None}
    assert offset_classes(shy(), shy(), prepared, small_task, SimpleNamespace(sharded=True), **called) is None
    warn_of_no_offsets(shy(), prepared, small_task, sharded=True)
    assert "gets no class offsets: it is sharded over the processes" in caplog.text


def test_what_keeps_a_network_from_offsets_is_said_before_the_first_step(tmp_path, prepared, small_task, caplog):
    run = make_run(tmp_path / "run", small_task, Recipe(epochs=1, steps_per_epoch=1, warmup=0, class_offsets=True))
    model, said = torch.nn.Conv3d(1, 2, 1, bias=False), []
    model.register_forward_pre_hook(lambda module, _: said.append(caplog.text) if module.training else None)
    train(run, prepared, model=model, validation=prepared)
    assert "gets no class offsets: its last layer has no bias" in said[0]
    assert caplog.text.count("gets no class offsets") == 1


def test_the_last_layer_is_the_one_that_computes_last_and_few_others_are_tried():
    """The head of a network may be made before its body, and a large network has a hundred biases."""

    class HeadFirst(torch.nn.Module):
        def __init__(self, classes):
            super().__init__()
            self.head = torch.nn.Conv3d(2, classes, 1)
            self.body = torch.nn.ModuleList([torch.nn.Conv3d(1, 2, 1), *(torch.nn.Conv3d(2, 2, 1) for _ in range(40))])
            self.passes = 0

        def forward(self, image):
            self.passes += 1
            for layer in self.body:
                image = layer(image)
            return self.head(image)

    model = HeadFirst(2).eval()
    assert last_bias(model, 2, (4, 4, 4)) is model.head.bias
    model.head.bias, model.passes = None, 0
    assert last_bias(model, 2, (4, 4, 4)) is None
    assert model.passes < 10


def test_a_run_that_goes_on_after_its_end_keeps_the_offsets_that_it_has(
    tmp_path, prepared, small_task, monkeypatch, caplog
):
    """The offsets of each class are found with those of the others as they are: a second search would find others."""
    recipe = Recipe(epochs=1, steps_per_epoch=1, lr=1e-9, warmup=0, class_offsets=True)
    run = make_run(tmp_path / "run", small_task, recipe)
    first, _ = train(run, prepared, model=shy(), validation=prepared)
    kept = run.best.read_bytes()

    def search(*_, **__):
        raise AssertionError("looked for offsets again")

    monkeypatch.setattr("bedside.training.loop.fit.offset_classes", search)
    for wanted in (True, False):
        config = replace(run.config, recipe=replace(recipe, class_offsets=wanted))
        again, _ = train(Run.create(run.path, config, resume=True), prepared, model=shy(), validation=prepared)
        assert again.best == first.best
        assert run.best.read_bytes() == kept
        assert ("have class offsets from before, which stay" in caplog.text) == (not wanted)
        assert Run.open(run.path).config.recipe.class_offsets


def test_weights_of_a_last_epoch_that_is_done_again_get_their_offsets_again(tmp_path, prepared, small_task):
    """The newest checkpoint was lost after the end: the epoch's weights replace those that had the offsets."""
    recipe = Recipe(epochs=2, steps_per_epoch=1, lr=1e-9, warmup=0, class_offsets=True)
    run = make_run(tmp_path / "run", small_task, recipe)
    first, _ = train(run, prepared, model=shy(), validation=prepared)
    kept = load_file(run.best)
    run.last.unlink()
    again, _ = train(run, prepared, model=shy(), validation=prepared)
    assert again.best == first.best
    assert torch.equal(load_file(run.best)["model.bias"], kept["model.bias"])


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("worse", [True, False])
@pytest.mark.parametrize("of_earlier_version", [True, False])
def test_a_longer_run_keeps_weights_with_offsets_that_are_better_than_those_that_follow(
    tmp_path, prepared, small_task, wanted, worse, of_earlier_version, monkeypatch
):
    """Each epoch's Dice is one without offsets: the longer run replaces the weights before it can compare them."""
    recipe = Recipe(epochs=1, steps_per_epoch=1, lr=1e-9, warmup=0, class_offsets=True)
    run = make_run(tmp_path / "run", small_task, recipe)
    first, _ = train(run, prepared, model=shy(), validation=prepared)
    kept = load_file(run.best)["model.bias"]
    if of_earlier_version:  # these kept the facts about the weights beside them
        facts = run.best_weights()
        (run.path / "class_offsets.json").write_bytes(msgspec.json.encode(facts.class_offsets))
        save_file(load_file(run.best), run.best)
    if worse:
        monkeypatch.setattr("bedside.training.loop.fit.offset_classes", lambda *_, **__: None)
    longer = replace(run.config, recipe=replace(recipe, epochs=2, class_offsets=wanted))
    again, _ = train(Run.create(run.path, longer, resume=True), prepared, model=shy(), validation=prepared)
    found = run.best_weights()
    assert again.best == found.final_dice == pytest.approx(first.best)
    torch.testing.assert_close(load_file(run.best)["model.bias"], kept)
    assert found.has_class_offsets
    assert (found.epoch, found.class_offsets.epochs) == (0 if worse or not wanted else 1, 2)
    assert not run.best_before.exists()


def test_a_training_without_validation_cases_says_that_it_has_no_offsets(tmp_path, prepared, small_task, caplog):
    recipe = Recipe(epochs=1, steps_per_epoch=1, warmup=0, class_offsets=True)
    run = make_run(tmp_path / "run", small_task, recipe)
    result, _ = train(run, prepared)
    assert result.best is None
    assert "gets no class offsets: there are no validation cases to find them" in caplog.text
    assert run.best_weights().class_offsets.epochs == 1


def test_a_training_stopped_before_its_offsets_gets_them_when_it_goes_on_if_they_are_wanted(
    tmp_path, prepared, small_task, monkeypatch
):
    def stop(*_, **__):
        raise Cancelled("stopped")

    recipe = Recipe(epochs=1, steps_per_epoch=1, lr=1e-9, warmup=0, class_offsets=True)
    run = make_run(tmp_path / "run", small_task, recipe)
    with monkeypatch.context() as stopping:
        stopping.setattr("bedside.training.loop.fit.offset_classes", stop)
        with pytest.raises(TrainingInterrupted):
            train(run, prepared, model=shy(), validation=prepared)
    assert len(run.rows()) == 1
    assert run.best_weights().class_offsets.epochs == 0
    without = replace(run.config, recipe=replace(recipe, class_offsets=False))
    train(Run.create(run.path, without, resume=True), prepared, model=shy(), validation=prepared)
    assert run.best_weights().class_offsets.epochs == 0
    assert not Run.open(run.path).config.recipe.class_offsets
    result, _ = train(run, prepared, model=shy(), validation=prepared)
    assert result.best > 0.99
    assert run.best_weights().class_offsets.epochs == 1


def test_offsets_that_raise_no_dice_together_are_taken_back_to_the_bit(tmp_path, prepared, small_task, monkeypatch):
    """Found for each class by itself, they may harm another; here a second prediction that finds nothing stands in."""
    monkeypatch.setattr("bedside.training.loop.class_offsets.validate", lambda *_, **__: np.zeros(2))
    recipe = Recipe(epochs=1, steps_per_epoch=1, lr=1e-9, warmup=0, class_offsets=True)
    runs = [
        make_run(tmp_path / name, small_task, replace(recipe, class_offsets=name == "run")) for name in ("run", "off")
    ]
    results = [train(run, prepared, model=shy(), validation=prepared)[0] for run in runs]
    assert results[0].best == pytest.approx(results[1].best)
    with_offsets, without = (load_file(run.best) for run in runs)
    assert torch.equal(with_offsets["model.bias"], without["model.bias"])
    assert [run.best_weights().class_offsets.epochs for run in runs] == [1, 0]
