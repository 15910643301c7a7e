import pytest
import torch
from bedside.runtime.errors import InputError
from bedside.training.loop.checkpoint import save_weights
from bedside.training.runs.best_weights import BestWeights, ClassOffsetsRecord


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
