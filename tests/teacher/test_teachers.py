"""One conformance suite for all teachers."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from bedside.runtime.errors import UsageError
from bedside.teacher import TEACHERS, build_teacher

torch.set_num_threads(1)


@pytest.fixture(params=list(TEACHERS))
def teacher_name(request):
    return request.param


def make(name, **options):
    torch.manual_seed(0)
    return build_teacher(name, num_classes=4, sam="vit_nano", **options)


@pytest.mark.parametrize("patch", [32, (64, 64, 32)])
def test_logits_have_one_channel_per_class_at_input_resolution(teacher_name, patch):
    size = (patch,) * 3 if isinstance(patch, int) else patch
    with torch.no_grad():
        logits = make(teacher_name, patch=patch)(torch.rand(1, 1, *size))
    assert logits.shape == (1, 4, *size)
    assert logits.isfinite().all()


def test_patches_of_a_batch_do_not_influence_each_other(teacher_name):
    model = make(teacher_name, patch=32).eval()
    batch = torch.rand(2, 1, 32, 32, 32)
    with torch.no_grad():
        together, alone = model(batch), torch.cat([model(batch[:1]), model(batch[1:])])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_training_and_evaluation_mode_agree(teacher_name):
    model = make(teacher_name, patch=32)
    x = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        assert torch.equal(model.train()(x), model.eval()(x))


def test_part_of_a_teacher_is_frozen_and_part_trains(teacher_name):
    assert {parameter.requires_grad for parameter in make(teacher_name, patch=32).parameters()} == {True, False}


def test_both_papers_names_give_the_same_network():
    one, other = (make(name, patch=32) for name in ("autosam", "autoprosam"))
    assert type(one) is type(other)
    assert one.state_dict().keys() == other.state_dict().keys()
    x = torch.rand(1, 1, 32, 32, 32)
    with torch.no_grad():
        assert torch.equal(one(x), other(x))


def test_unknown_teacher_lists_the_known_ones():
    with pytest.raises(UsageError, match='no teacher "sam"; expected one of: autosam, autoprosam'):
        build_teacher("sam", num_classes=2)


def test_importing_the_package_does_not_import_torch():
    code = "import sys, bedside.teacher; sys.exit('torch' in sys.modules or 'segment_anything' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
