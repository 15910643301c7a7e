"""Which options determine a run, so that it cannot be resumed with others, and which may change."""

import msgspec
import pytest
from bedside.runtime.errors import UsageError
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Distillation, TeacherRecord, decisive_differences

from .resuming import resumed


def with_sam(config, **options):
    return msgspec.structs.replace(config, model=msgspec.structs.replace(config.model, options=options))


def test_a_newer_version_of_the_code_may_resume(tmp_path, config):
    older = msgspec.structs.replace(config, code_version="0.0.1")
    Run.create(tmp_path / "run", older, resume=False).start()
    assert Run.create(tmp_path / "run", config, resume=True).config == config


@pytest.mark.parametrize(("processes", "accumulate"), [(4, 1), (2, 2), (1, 4)])
def test_a_run_may_go_on_with_other_devices_that_take_as_many_crops_per_step(tmp_path, config, processes, accumulate):
    four = msgspec.structs.replace(config, recipe=msgspec.structs.replace(config.recipe, processes=4))
    assert resumed(tmp_path, four, processes=processes, accumulate=accumulate, pictures_every=3)


def test_more_crops_per_step_are_another_training(tmp_path, config):
    with pytest.raises(UsageError, match="differs in: recipe: --devices × --nodes × --accumulate"):
        resumed(tmp_path, config, processes=2)


def test_activations_may_be_checkpointed_later_on(tmp_path, config):
    options = config.model.options | {"checkpoint_activations": True}
    assert resumed(tmp_path, config, model=msgspec.structs.replace(config.model, options=options))


def test_sams_weights_are_known_by_their_content_and_not_by_their_name(tmp_path, config):
    there = with_sam(config, checkpoint="a.pth", checkpoint_sha256="1")
    assert resumed(tmp_path, there, model=with_sam(config, checkpoint="b.pth", checkpoint_sha256="1").model)
    with pytest.raises(UsageError, match=r"differs in: model\.checkpoint_sha256"):
        Run.create(tmp_path / "run", with_sam(config, checkpoint="a.pth", checkpoint_sha256="2"), resume=True)


def test_another_ablation_is_another_training(tmp_path, config):
    there = with_sam(config, apg=True, mlam=True)
    with pytest.raises(UsageError, match=r"differs in: model\.apg\)"):
        resumed(tmp_path, there, model=with_sam(config, apg=False, mlam=True).model)


def test_a_run_from_before_there_were_ablations_goes_on_as_the_whole_teacher(tmp_path, config):
    assert resumed(tmp_path, with_sam(config, sam="x"), model=with_sam(config, sam="x", apg=True, mlam=True).model)
    with pytest.raises(UsageError, match=r"differs in: model\.mlam\)"):
        Run.create(tmp_path / "run", with_sam(config, sam="x", apg=True, mlam=False), resume=True)


def test_a_run_from_before_sams_weights_were_hashed_can_be_resumed(tmp_path, config):
    there = with_sam(config, checkpoint="a.pth")
    assert resumed(tmp_path, there, model=with_sam(config, checkpoint="a.pth", checkpoint_sha256="1").model)


def test_a_configuration_from_before_there_were_several_devices_opens(tmp_path, config):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.start()
    file = tmp_path / "run" / "config.toml"
    new = ("accumulate", "processes", "pictures_every")
    file.write_text("\n".join(line for line in file.read_text().splitlines() if not line.startswith(new)))
    assert Run.open(tmp_path / "run").config == config


def test_a_renamed_teacher_makes_no_other_run_and_another_one_does(config):
    def taught(*teachers):
        records = tuple(TeacherRecord(name=name, sha256=sha256) for name, sha256 in teachers)
        return msgspec.structs.replace(config, distillation=Distillation(lam=0.5, teachers=records))

    before = taught(("a", "1" * 64), ("b", "2" * 64))
    assert decisive_differences(before, taught(("second", "2" * 64), ("a.bedside", "1" * 64))) == []
    assert decisive_differences(before, taught(("a", "1" * 64), ("b", "3" * 64))) == ["distillation.teachers"]
    half = msgspec.structs.replace(before, distillation=msgspec.structs.replace(before.distillation, lam=0.4))
    assert decisive_differences(before, half) == ["distillation.lam"]


def test_a_renamed_data_set_makes_no_other_run_and_other_cases_do(config):
    assert decisive_differences(config, msgspec.structs.replace(config, dataset="copy of cubes")) == []
    assert decisive_differences(config, msgspec.structs.replace(config, data_hash="9" * 64)) == ["data_hash"]


def test_without_imitation_its_loss_and_targets_make_no_other_run(config):
    plain, other = (
        msgspec.structs.replace(config, distillation=Distillation(lam=1.0, imitation=imitation, targets=targets))
        for imitation, targets in (("mse", "cached"), ("dice-ce", "online"))
    )
    assert decisive_differences(plain, other) == []


def test_a_momentum_that_takes_no_part_makes_no_other_run(config):
    def with_momentum(optimizer, momentum):
        recipe = msgspec.structs.replace(config.recipe, optimizer=optimizer, momentum=momentum)
        return msgspec.structs.replace(config, recipe=recipe)

    assert decisive_differences(with_momentum("adamw", 0.5), with_momentum("adamw", 0.99)) == []
    assert decisive_differences(with_momentum("sgd", 0.5), with_momentum("sgd", 0.99)) == ["recipe.momentum"]
    assert decisive_differences(with_momentum("sgd", 0.5), with_momentum("adamw", 0.99)) == ["recipe.optimizer"]
