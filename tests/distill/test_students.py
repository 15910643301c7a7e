import pytest
import torch
from bedside.distill import STUDENTS, build_student
from bedside.distill.students import check_patch
from bedside.runtime.errors import UsageError


@pytest.mark.parametrize(("name", "parameters"), [("swinunetr-tiny", 4_078_220), ("swinunetr-small", 15_703_304)])
def test_parameter_count_with_14_classes_is_the_papers(name, parameters):
    model = build_student(name, num_classes=14)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("name", STUDENTS)
def test_every_student_gives_logits_of_the_images_size(name):
    with torch.inference_mode():
        assert build_student(name, num_classes=3)(torch.zeros(1, 1, 32, 64, 64)).shape == (1, 3, 32, 64, 64)


def test_unknown_student_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match="swinunetr-tiny, swinunetr-small"):
        build_student("resnet", num_classes=2)


@pytest.mark.parametrize(
    ("name", "patch"),
    [
        ("swinunetr-tiny", (64, 64, 64)),
        ("swinunetr-tiny", (32, 64, 64)),
        ("swinunetr-small", (32, 32, 64)),
        ("unet-nano", (32, 64, 32)),
    ],
)
def test_patches_a_student_takes_it_can_be_trained_on(name, patch):
    check_patch(name, patch)
    build_student(name, num_classes=2)(torch.zeros(1, 1, *patch)).sum().backward()


@pytest.mark.parametrize(
    ("name", "patch"),
    [
        ("swinunetr-tiny", (32, 32, 32)),
        ("swinunetr-tiny", (48, 64, 64)),
        ("swinunetr-tiny", (64, 64, 16)),
        ("unet-nano", (32, 32, 32)),
        ("unet-nano", (48, 64, 64)),
    ],
)
def test_patches_a_student_cannot_take_are_refused(name, patch):
    with pytest.raises(UsageError, match="multiples of"):
        check_patch(name, patch)
