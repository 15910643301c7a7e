import subprocess
import sys

import pytest
import torch
from bedside.runtime.errors import InputError
from bedside.training.loop.checkpoint import save_weights
from bedside.training.runs.best_weights import BestWeights, ClassOffsetsRecord
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Lengthening
from msgspec.structs import replace


def test_the_facts_come_back_from_the_file_of_the_weights(tmp_path):
    path = tmp_path / "best.safetensors"
    assert BestWeights.read(path) == BestWeights()
    save_weights(path, torch.nn.Linear(3, 2))  # of no run
    assert BestWeights.read(path) == BestWeights()
    about = BestWeights(7, 0.1 + 0.2, ClassOffsetsRecord(8, 1 / 3))
    save_weights(path, torch.nn.Linear(3, 2), about=about)
    assert BestWeights.read(path) == about


@pytest.mark.parametrize(
    "damage", [lambda _: b"", lambda data: data[:20], lambda data: data.replace(b'epoch\\":3', b'epoch\\":x')]
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "run" / "best.safetensors"
    path.parent.mkdir()
    save_weights(path, torch.nn.Linear(3, 2), about=BestWeights(3, 0.5))
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    with pytest.raises(InputError, match=r'^best.safetensors in "run" cannot be read: .*; restore it from a backup'):
        BestWeights.read(path)


@pytest.mark.parametrize(
    ("offsets", "dice"),
    [(ClassOffsetsRecord(), 0.5), (ClassOffsetsRecord(3), 0.5), (ClassOffsetsRecord(3, 0.75), 0.75)],
)
def test_the_final_dice_is_that_with_class_offsets(offsets, dice):
    assert BestWeights(1, 0.5, offsets).final_dice == dice


def test_the_facts_are_read_without_the_package_of_the_weights(tmp_path):
    save_weights(tmp_path / "best.safetensors", torch.nn.Linear(3, 2), about=BestWeights(7, 0.5))
    code = """
import sys
sys.modules["safetensors"] = sys.modules["torch"] = None
from pathlib import Path
from bedside.training.runs.best_weights import BestWeights
from bedside.training.runs.run import Run
print(BestWeights.read(Path(sys.argv[1])).epoch)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "best.safetensors")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "7\n"


def test_weights_of_earlier_versions_are_those_of_the_highest_dice_the_later_of_two_alike(tmp_path, config):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.start()
    save_weights(run.best, torch.nn.Linear(3, 2))
    run.log(0, {"loss": 1.0})
    assert run.best_weights() == BestWeights(0)
    for epoch, dice in enumerate((0.25, 0.5, 0.5, 0.4), 1):
        run.log(epoch, {"loss": 1.0, "dice": dice})
    assert run.best_weights() == BestWeights(3, 0.5)
    record = run.path / "class_offsets.json"
    record.write_text('{"epochs": 5, "dice": 0.625}')
    assert run.best_weights() == BestWeights(3, 0.5, ClassOffsetsRecord(5, 0.625))
    record.write_text("{")
    with pytest.raises(InputError, match=r'class_offsets.json or metrics.csv in "run" is not valid: '):
        run.best_weights()


def test_weights_of_earlier_versions_without_scores_are_those_of_the_former_end(tmp_path, config):
    ends = replace(config.recipe, epochs=9)
    longer = replace(config, recipe=ends, lengthened=(Lengthening(epoch=3, epochs=3),))
    run = Run.create(tmp_path / "run", longer, resume=False)
    run.start()
    save_weights(run.best, torch.nn.Linear(3, 2))
    for epoch in range(5):
        run.log(epoch, {"loss": 1.0})
    assert run.best_weights() == BestWeights(2)
