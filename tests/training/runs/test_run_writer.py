import sys

from bedside.training.recipe import Recipe

from ..loop.tiny_fit import make_run, train


def test_metrics_are_written_as_tensorboard_events_too(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    train(run, prepared, validation=prepared)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path / "events")).Reload()
    assert len(events.Scalars("loss")) == 4
    assert [event.step for event in events.Scalars("dice/cube")] == [1, 3]


def test_a_picture_of_a_validation_case_is_drawn_every_few_epochs(tmp_path, prepared, small_task):
    recipe = Recipe(epochs=4, steps_per_epoch=1, warmup=0, validate_every=1, pictures_every=2)
    run = make_run(tmp_path / "run", small_task, recipe)
    train(run, prepared, validation=prepared)
    assert sorted(path.name for path in run.pictures.iterdir()) == ["epoch_0001.png", "epoch_0003.png"]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path / "events")).Reload()
    assert [image.step for image in events.Images("validation")] == [1, 3]


def test_without_matplotlib_there_are_no_pictures_and_one_line_says_so(
    tmp_path, prepared, small_task, caplog, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    recipe = Recipe(epochs=2, steps_per_epoch=1, warmup=0, pictures_every=1)
    run = make_run(tmp_path / "run", small_task, recipe)
    train(run, prepared, validation=prepared)
    assert not run.pictures.exists()
    assert caplog.text.count("run: pip install 'bedside[report]'") == 1
