import os

import msgspec
import pytest
import torch
from bedside.runtime.errors import InputError, ResourceError, UsageError
from bedside.runtime.files.temporaries import temporary_name
from bedside.training.loop.checkpoint import save_weights
from bedside.training.recipe import Recipe
from bedside.training.runs.best_weights import BestWeights, ClassOffsetsRecord
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Lengthening, RunConfig
from bedside.training.runs.sole_writer import LOCK

from .resuming import resumed


def test_configuration_survives_the_round_trip_through_toml(tmp_path, config):
    Run.create(tmp_path / "run", config, resume=False).start()
    assert Run.open(tmp_path / "run").config == config


def test_a_run_is_not_overwritten_without_resume(tmp_path, config):
    Run.create(tmp_path / "run", config, resume=False).start()
    with pytest.raises(UsageError, match="--resume"):
        Run.create(tmp_path / "run", config, resume=False)
    assert Run.create(tmp_path / "run", config, resume=True).config == config


def test_resuming_with_other_options_names_what_differs(tmp_path, config, small_task):
    Run.create(tmp_path / "run", config, resume=False).start()
    other = RunConfig(
        model=config.model,
        task=small_task,
        recipe=Recipe(lr=1e-4),
        dataset="cubes",
        data_hash="0" * 64,
        distillation=config.distillation,
    )
    with pytest.raises(UsageError, match="differs in: recipe"):
        Run.create(tmp_path / "run", other, resume=True)


def test_a_run_that_mirrored_scans_with_the_labels_of_the_other_side_can_be_read_but_not_gone_on_with(tmp_path, config):
    Run.create(tmp_path / "run", config, resume=False).start()
    file = tmp_path / "run" / "config.toml"
    file.write_text(
        file.read_text().replace("mirror = 0.0\n", "").replace("mirror_sides = false", "mirror_sides = true")
    )
    earlier = Run.open(tmp_path / "run").config.recipe.augmentation
    assert (earlier.mirror, earlier.mirror_sides) == (0.0, True)
    with pytest.raises(UsageError, match=r"differs in: recipe\.augmentation"):
        Run.create(tmp_path / "run", config, resume=True)


def test_metrics_of_repeated_epochs_are_replaced(tmp_path, config):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.log(0, {"loss": 3.0})
    run.log(1, {"loss": 2.0, "dice": 0.5})
    run.log(1, {"loss": 1.5})
    assert run.rows() == [{"epoch": "0", "loss": "3"}, {"epoch": "1", "loss": "1.5"}]


def test_metrics_that_an_editor_saved_with_a_byte_order_mark_are_read(tmp_path, config):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.log(0, {"loss": 3.0})
    run.metrics.write_bytes(b"\xef\xbb\xbf" + run.metrics.read_bytes().replace(b"\n", b"\r\n"))
    run.log(1, {"loss": 2.0})
    assert run.rows() == [{"epoch": "0", "loss": "3"}, {"epoch": "1", "loss": "2"}]


@pytest.mark.parametrize(
    "content",
    [b"epoch;loss\n0;3\n", b"epoch,loss\nx,3\n", b'epoch,loss\n0,"0,5"\n', b"epoch,loss\n0,0,5\n", b"loss\n3\n"],
)
def test_metrics_that_a_spreadsheet_saved_in_another_form_are_refused(tmp_path, config, content):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.start()
    run.metrics.write_bytes(content)
    for read in (run.rows, run.best_row, run.last_loss, lambda: run.log(1, {"loss": 1.0})):
        with pytest.raises(InputError, match=r'metrics\.csv in "run" is not as bedside writes it: .* restore it'):
            read()
    assert run.metrics.read_bytes() == content


def test_metrics_in_another_encoding_are_refused(tmp_path, config):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.start()
    run.metrics.write_bytes(b"epoch,loss\n0,\xff\n")
    with pytest.raises(InputError, match=r'metrics\.csv in "run" is not valid: expected UTF-8 text'):
        run.rows()


@pytest.mark.parametrize("content", [None, "not toml [", 'model = "x"', "\x00\xff"])
def test_a_folder_that_is_no_run_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "config.toml").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"not a run directory|is not valid"):
        Run.open(tmp_path)


def test_a_run_knows_what_its_best_weights_are_from_their_own_file(tmp_path, config):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.start()
    assert run.best_weights() == BestWeights()
    assert run.best_row() == {}
    for epoch, dice in enumerate((0.4999996, 0.5, 0.4)):  # the first two are written alike
        run.log(epoch, {"loss": 1.0, "dice": dice})
    assert [row["dice"] for row in run.rows()] == ["0.5", "0.5", "0.4"]
    about = BestWeights(0, 0.4999996, ClassOffsetsRecord(3, 0.75))
    save_weights(run.best, torch.nn.Linear(3, 2), about=about)
    assert run.best_weights() == about
    assert run.best_row() == {"epoch": "0", "loss": "1", "dice": "0.5"}


def test_whether_a_run_has_class_offsets_is_recorded_at_its_end(tmp_path, config):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.start()
    assert not config.recipe.class_offsets
    for wanted in (True, False):
        run.record_class_offsets(wanted)
        assert Run.open(run.path).config.recipe.class_offsets == wanted


def test_a_start_that_was_refused_leaves_the_way_free_for_the_next(tmp_path, config):
    Run.create(tmp_path / "run", config, resume=False)
    Run.create(tmp_path / "run", config, resume=False).start()
    assert Run.open(tmp_path / "run").config == config


def test_a_folder_with_other_things_is_not_taken(tmp_path, config):
    (tmp_path / "last.safetensors").write_bytes(b"of another time")
    with pytest.raises(UsageError, match=r"last\.safetensors"):
        Run.create(tmp_path, config, resume=True)


@pytest.mark.parametrize("place", ["file", "file/run", "/proc/run"])
def test_a_path_that_cannot_be_a_folder_is_a_resource_error(tmp_path, config, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        Run.create(tmp_path / place, config, resume=False)


def test_what_a_killed_start_left_in_the_folder_is_in_nobodys_way(tmp_path, config):
    (tmp_path / "run").mkdir()
    name = temporary_name(".toml").replace(f"-{os.getpid()}-", "-4194304-")  # of a process that cannot be
    (tmp_path / "run" / name).touch()
    Run.create(tmp_path / "run", config, resume=True).start()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.toml"]


def test_a_run_that_is_resumed_with_more_epochs_is_to_be_made_longer(tmp_path, config):
    run = resumed(tmp_path, config, epochs=300)
    assert (run.planned, run.config.recipe.epochs) == (200, 300)
    assert Run.open(run.path).config == config  # not before training knows from which epoch on


def test_a_run_made_longer_says_so_in_its_configuration_and_knows_what_it_followed_when(tmp_path, config):
    older = msgspec.structs.replace(config, code_version="0.0.1")
    run = resumed(tmp_path, older, epochs=300, pictures_every=3)
    run.lengthen(200, write=True)
    there = Run.open(run.path).config
    assert (there.recipe.epochs, there.recipe.pictures_every, there.code_version) == (300, 10, "0.0.1")
    assert there.lengthened == run.config.lengthened == (Lengthening(epoch=200, epochs=200),)
    assert [there.epochs_at(epoch) for epoch in (0, 199, 200, 299)] == [200, 200, 300, 300]
    again = Run.create(run.path, there, resume=True)
    assert again.planned == again.config.recipe.epochs == 300
    twice = Run.create(run.path, longer(there, 400), resume=True)
    twice.lengthen(250, write=True)
    assert [Run.open(run.path).config.epochs_at(epoch) for epoch in (199, 249, 250)] == [200, 300, 400]


def test_a_run_made_longer_from_an_earlier_epoch_than_before_follows_the_newest_plan_from_there(tmp_path, config):
    """Its newest checkpoint was damaged: epochs of the plan between are trained again."""
    run = resumed(tmp_path, config, epochs=300)
    run.lengthen(200, write=True)
    for epoch, epochs in ((199, 400), (250, 500), (199, 600)):
        run = Run.create(run.path, longer(Run.open(run.path).config, epochs), resume=True)
        run.lengthen(epoch, write=True)
        assert [Run.open(run.path).config.epochs_at(each) for each in (198, epoch)] == [200, epochs]
    assert Run.open(run.path).config.lengthened == (Lengthening(epoch=199, epochs=200),)


def longer(config, epochs):
    return msgspec.structs.replace(config, recipe=msgspec.structs.replace(config.recipe, epochs=epochs))


def test_a_run_is_not_made_shorter(tmp_path, config):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.start()
    run.log(0, {"loss": 1.0})
    with pytest.raises(UsageError, match=r"planned for 200 epochs and has done 1; .* expected --epochs 200 or more"):
        Run.create(run.path, longer(config, 100), resume=True)


def test_a_longer_run_with_another_rate_is_another_run(tmp_path, config):
    with pytest.raises(UsageError, match=r"differs in: recipe\.lr\)"):
        resumed(tmp_path, config, epochs=300, lr=0.1)


def test_a_run_that_was_never_made_longer_can_be_read_by_earlier_versions(tmp_path, config):
    Run.create(tmp_path / "run", config, resume=False).start()
    assert "lengthened" not in (tmp_path / "run" / "config.toml").read_text()


def test_a_lock_does_not_make_a_folder_somebody_elses(tmp_path, config):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).touch()  # of a start that was killed
    Run.create(tmp_path / "run", config, resume=False).start()
