"""Checkpoints are read as plain tensors; a file with other objects does not get to run code."""

from __future__ import annotations

import fractions
import pickle
import zipfile

import pytest
import torch
from bedside.runtime.errors import InputError
from bedside.training.tensor_file import read_tensor_file
from safetensors.torch import save_file

STATE = {"weight": torch.arange(3.0)}


def test_both_formats_are_read_from_a_folder_and_from_a_zip(tmp_path):
    torch.save(STATE, tmp_path / "a.pt")
    save_file(STATE, tmp_path / "a.safetensors")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.pt", "a.safetensors"):
            archive.write(tmp_path / name, name)
    for name in ("a.pt", "a.safetensors"):
        for path in (tmp_path / name, zipfile.Path(tmp_path / "a.zip", name)):
            content = read_tensor_file(path)
            assert isinstance(content, dict)
            assert content["weight"].tolist() == [0.0, 1.0, 2.0]


def test_only_allowed_objects_are_read(tmp_path):
    torch.save({"half": fractions.Fraction(1, 2)}, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"holds Python objects \(fractions\.Fraction\), .* alone, or ask for another"):
        read_tensor_file(tmp_path / "a.pt", advice="ask for another")
    assert read_tensor_file(tmp_path / "a.pt", allowed=[fractions.Fraction]) == {"half": fractions.Fraction(1, 2)}
    with pytest.raises(InputError, match=r"save its tensors alone$"):  # allowed for one call only
        read_tensor_file(tmp_path / "a.pt")


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_another_file_is_refused_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f'^"{name}" cannot be read as a checkpoint of plain tensors: ') as refusal:
        read_tensor_file(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_a_pickle_of_pythons_own_is_refused_without_a_warning_of_torchs(tmp_path, recwarn):
    (tmp_path / "a.pt").write_bytes(pickle.dumps(STATE, protocol=4))
    with pytest.raises(InputError, match=r"^\"a\.pt\" cannot be read as a checkpoint of plain tensors: "):
        read_tensor_file(tmp_path / "a.pt")
    assert not recwarn.list


def test_a_flipped_bit_is_noticed(tmp_path):
    torch.save(STATE, tmp_path / "a.pt")
    whole = bytearray((tmp_path / "a.pt").read_bytes())
    whole[whole.index(STATE["weight"].numpy().tobytes()) + 2] ^= 1
    (tmp_path / "a.pt").write_bytes(whole)
    with pytest.raises(InputError, match=r'"a\.pt" is damaged: a checksum inside does not match'):
        read_tensor_file(tmp_path / "a.pt")
