import pytest
import torch
from bedside.runtime.errors import InputError

from .tiny_fit import make_run, train


def test_the_last_two_checkpoints_are_kept_and_the_older_serves_if_the_newer_is_lost(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    _, expected = train(run, prepared)
    assert run.previous.exists()
    run.last.unlink()
    _, resumed = train(run, prepared, model=torch.nn.Conv3d(1, 2, 1))
    assert torch.equal(resumed.weight, expected.weight)


def test_a_save_killed_between_its_renames_is_ended_also_after_the_last_step(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    _, expected = train(run, prepared)
    run.last.replace(run.incoming)
    _, resumed = train(run, prepared, model=torch.nn.Conv3d(1, 2, 1))
    assert torch.equal(resumed.weight, expected.weight)
    assert run.last.exists()
    assert not run.incoming.exists()


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: data[:-1] + bytes([data[-1] ^ 1])])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_serves(tmp_path, prepared, small_task, caplog, damage):
    run = make_run(tmp_path / "run", small_task)
    _, expected = train(run, prepared)
    run.last.write_bytes(damage(run.last.read_bytes()))
    _, resumed = train(run, prepared, model=torch.nn.Conv3d(1, 2, 1))
    assert torch.equal(resumed.weight, expected.weight)
    assert "cannot be read" in caplog.text
    assert "going on from previous.safetensors instead, epoch 3, step 0" in caplog.text


def test_checkpoints_that_are_all_damaged_are_not_taken_for_a_start_from_nothing(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    train(run, prepared)
    for path in run.checkpoints():
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"last.*cannot be read.*previous.*cannot be read.*start again with another"):
        train(run, prepared)


def test_a_run_whose_checkpoints_are_gone_does_not_start_over_its_best_weights(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    train(run, prepared)
    kept = run.best.read_bytes()
    for path in run.checkpoints():
        path.unlink()
    with pytest.raises(InputError, match=r'"run" has done 4 epochs and holds no checkpoint; restore last.safetensors'):
        train(run, prepared)
    assert run.best.read_bytes() == kept


def test_a_run_whose_best_weights_alone_are_gone_does_not_end_without_them(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    train(run, prepared, validation=prepared)
    run.best.unlink()
    with pytest.raises(InputError, match=r'^best.safetensors in "run" is gone; restore it from a backup, or start'):
        train(run, prepared, validation=prepared)


def test_a_run_killed_after_the_figures_of_its_first_epoch_starts_again(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    run.log(0, {"lr": 0.2, "loss": 9.0})
    train(run, prepared)
    assert len(run.rows()) == 4
    assert float(run.rows()[0]["loss"]) < 9


def test_a_new_run_with_a_checkpoint_of_another_network_is_refused(tmp_path, prepared, small_task):
    run = make_run(tmp_path / "run", small_task)
    train(run, prepared)
    with pytest.raises(InputError, match=r"tensor bias: expected \(3,\), got \(2,\)"):
        train(run, prepared, model=torch.nn.Conv3d(1, 3, 1))
