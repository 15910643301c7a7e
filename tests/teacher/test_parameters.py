"""Parameters of a teacher, counted by component."""

import pytest
from bedside.teacher import TEACHERS, teacher_config
from bedside.teacher.parameters import count_parameters
from bedside.teacher.simulated_step import parameters_on_meta


@pytest.mark.parametrize("name", TEACHERS.own)
def test_components_add_up_to_what_trains(name):
    config = teacher_config(name, **TEACHERS.find(name).smallest)
    with parameters_on_meta():
        model = config.build(3, 64)
    counts = count_parameters(model, config.component)
    assert sum(counts.components.values()) == counts.trainable
    assert counts.frozen == counts.total - counts.trainable
    assert counts.trainable == sum(each.numel() for each in model.parameters() if each.requires_grad)
