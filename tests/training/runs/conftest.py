"""The configuration of a student's run."""

import pytest
from bedside.training.recipe import Recipe
from bedside.training.runs.run_config import Distillation, ModelConfig, RunConfig


@pytest.fixture
def config(small_task):
    return RunConfig(
        model=ModelConfig(kind="student", name="unet-nano", options={"heads": 2, "wide": True}),
        task=small_task,
        recipe=Recipe(lr=1e-3),
        dataset="cubes",
        data_hash="0" * 64,
        distillation=Distillation(lam=0.5, teacher="teacher", teacher_hash="1" * 64),
    )
