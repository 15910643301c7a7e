"""The families of teachers: one row each. Rows are light; torch is imported when a network is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..runtime.errors import UsageError
from ..runtime.registry import Registry
from ..training.recipe import Recipe
from ..training.runs.run_config import ModelConfig
from .autosam.config import AutoSamConfig
from .config import OptionKind, TeacherConfig
from .convolutional import SegResNetConfig
from .sautomed.config import SAutoMedConfig
from .selfprompt.config import SelfPromptConfig
from .swin import SwinUnetrConfig


@dataclass(frozen=True)
class TeacherFamily:
    """A row of `TEACHERS`.

    Attributes:
        config: class of its configurations: options, network, record in a run.
        source: source of the architecture.
        recipe: its default training recipe for any task; `Recipe.for_task` adds the task's augmentation.
        smallest: options of its smallest network, for CPUs and tests.
    """

    config: type[TeacherConfig]
    source: str
    recipe: Recipe = field(default_factory=Recipe)
    smallest: Mapping[str, Any] = field(default_factory=dict[str, Any])


TEACHERS = Registry(
    "teacher",
    TeacherFamily,
    {
        # Two papers give these names to the same network.
        "autosam": TeacherFamily(AutoSamConfig, "AutoSAM Adapter, section 3", smallest={"sam": "vit_nano"}),
        "autoprosam": TeacherFamily(AutoSamConfig, "AutoProSAM, section 3", smallest={"sam": "vit_nano"}),
        # Its batch of 8, as 8 forward passes of one patch each: the same gradient in less memory.
        "3d-sautomed": TeacherFamily(
            SAutoMedConfig,
            "3D-SAutoMed, section 2",
            recipe=Recipe(lr=1e-4, weight_decay=1e-4, accumulate=8),
            smallest={"sam": "vit_nano"},
        ),
        # The paper gives no batch and no clipping: those of nnU-Net, on which its code is built.
        "self-prompt-sam": TeacherFamily(
            SelfPromptConfig,
            "Self-Prompt-SAM, section 3",
            recipe=Recipe(
                optimizer="sgd",
                lr=0.01,
                momentum=0.99,
                weight_decay=3e-5,
                warmup=0,
                epochs=1000,
                steps_per_epoch=250,
                auxiliary_alone=0.2,
                accumulate=2,
                clip=12.0,
            ),
            smallest={"sam": "vit_nano", "enlarge": 2},
        ),
        # Learning rates are those of MONAI's own trainings of these networks.
        "segresnet": TeacherFamily(
            SegResNetConfig,
            "Myronenko 2018, arXiv:1810.11654, as in MONAI",
            recipe=Recipe(lr=2e-4),
            smallest={"init_filters": 8, "blocks": "1,1,1,1"},
        ),
        "swinunetr": TeacherFamily(
            SwinUnetrConfig,
            "Hatamizadeh et al. 2022, arXiv:2201.01266, as in MONAI",
            recipe=Recipe(lr=1e-4),
            smallest={"feature_size": 12},
        ),
    },
    group="bedside.teachers",
)
"""Name → family; an installed package adds one by an entry point of the group ``bedside.teachers``."""


def teacher_config(name: str, **options: Any) -> TeacherConfig:
    """Returns a teacher's configuration.

    Args:
        name: name in `TEACHERS`.
        **options: options of the family; the others have their defaults.

    Raises:
        UsageError: no family has this name, or it has no such option, or an option has an invalid value.
    """
    config = TEACHERS.find(name).config
    for option in options:
        if option not in config.options():
            raise UsageError(f'teacher "{name}" has no option "{option}"; expected: {", ".join(config.options())}')
    return config(name=name, **options)


def recorded_config(model: ModelConfig) -> TeacherConfig:
    """Returns the configuration that a run recorded, without files: the run holds all weights.

    An option that the run does not record has its ``unrecorded`` value, usually the default.

    Args:
        model: the teacher's entry in the run's configuration.

    Raises:
        UsageError: the family is unknown, or an option has an invalid value.
    """
    config = TEACHERS.find(model.name).config
    designs = {name: each for name, each in config.options().items() if each.metadata["kind"] is OptionKind.DESIGN}
    values = {name: model.options.get(name, each.metadata["unrecorded"]) for name, each in designs.items()}
    return config(name=model.name, **values)
