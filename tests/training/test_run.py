import msgspec
import pytest
from bedside.runtime.errors import InputError, ResourceError, UsageError
from bedside.training.recipe import Recipe
from bedside.training.run import Distillation, ModelConfig, Run, RunConfig


@pytest.fixture
def config(small_task):
    return RunConfig(
        model=ModelConfig(kind="student", name="unet-nano", options={"heads": 2, "wide": True}),
        task=small_task, recipe=Recipe(lr=1e-3), dataset="cubes", data_hash="0" * 64,
        distillation=Distillation(lam=0.5, teacher="teacher", teacher_hash="1" * 64),
    )  # fmt: skip


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
        model=config.model, task=small_task, recipe=Recipe(lr=1e-4), dataset="cubes", data_hash="0" * 64,
        distillation=config.distillation,
    )  # fmt: skip
    with pytest.raises(UsageError, match="differs in: recipe"):
        Run.create(tmp_path / "run", other, resume=True)


def test_metrics_of_repeated_epochs_are_replaced(tmp_path, config):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.log(0, {"loss": 3.0})
    run.log(1, {"loss": 2.0, "dice": 0.5})
    run.log(1, {"loss": 1.5})
    assert run.rows() == [{"epoch": "0", "loss": "3"}, {"epoch": "1", "loss": "1.5"}]


@pytest.mark.parametrize("content", [None, "not toml [", 'model = "x"', "\x00\xff"])
def test_a_folder_that_is_no_run_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "config.toml").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"not a run directory|is not valid"):
        Run.open(tmp_path)


def test_a_start_that_was_refused_leaves_the_way_free_for_the_next(tmp_path, config):
    refused = Run.create(tmp_path / "run", config, resume=False)
    (refused.cases / "broken").mkdir(parents=True)
    Run.create(tmp_path / "run", config, resume=False).start()
    assert not refused.cases.exists()


def test_a_folder_with_other_things_is_not_taken(tmp_path, config):
    (tmp_path / "last.safetensors").write_bytes(b"of another time")
    with pytest.raises(UsageError, match=r"last\.safetensors"):
        Run.create(tmp_path, config, resume=True)


@pytest.mark.parametrize("place", ["file", "file/run", "/proc/run"])
def test_a_path_that_cannot_be_a_folder_is_a_resource_error(tmp_path, config, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        Run.create(tmp_path / place, config, resume=False)


def test_a_newer_version_of_the_code_may_resume(tmp_path, config):
    older = msgspec.structs.replace(config, code_version="0.0.1")
    Run.create(tmp_path / "run", older, resume=False).start()
    assert Run.create(tmp_path / "run", config, resume=True).config == config
