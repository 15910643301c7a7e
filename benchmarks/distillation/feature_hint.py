"""Does a student learn more when it also imitates its teacher's features? With and without such a hint, equal steps.

    python benchmarks/distillation/feature_hint.py OUT --data DATA --teacher RUN [--weights 0 1] [--seeds 0 1 2]

The teacher, a run directory of a student ``unet-edge-…`` with the task's spacing and the student's patch, sees the very
crops. The loss is half that of the labels and half `dice-ce` against the teacher's probabilities; the hint adds WEIGHT
times the mean squared difference of the two networks' cosine similarities between any two positions of their coarsest
features (pair-wise distillation of Liu et al., CVPR 2019, arXiv:1903.04197, section 3.2.1), which needs no layer that
fits the channels of one network to those of the other. Finished runs are skipped, interrupted ones gone on with.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from bedside.benchmarks.shared.networks import segment_test_cases
from bedside.benchmarks.shared.plan import TrainingPlan, experiment_parser, given_plan
from bedside.benchmarks.shared.scores import SeedScores, case_means, evaluate_test_cases, paired_gains
from bedside.distill import build_student
from bedside.distill.loss import DistillationLoss
from bedside.distill.teacher import Teacher
from bedside.distill.trained import load_student
from bedside.runtime.hooks import Progress
from bedside.runtime.task import Task
from bedside.training.data.crops import Batch, CropSource
from bedside.training.data.dataset import Dataset, load_dataset
from bedside.training.job import TrainingHooks, TrainingJob
from bedside.training.loop.hardware import Hardware
from bedside.training.loop.objective import Objective
from bedside.training.loop.process_group import ProcessGroup
from bedside.training.prepared_run import MethodRecord, PreparedRun
from bedside.training.runs.run_config import Distillation, ModelConfig
from bedside.training.train import train
from torch import Tensor, nn

_LAMBDA = 0.5


class Plan(TrainingPlan, frozen=True, kw_only=True):
    """Settings that all runs of a folder share; further ones are `TrainingPlan`'s.

    Attributes:
        student: name of the student, one of ``unet-edge-…``.
        teacher: run directory of the teacher, another of them.
        steps: steps of each training.
    """

    student: str
    teacher: str
    steps: int


class _CoarsestFeatures:
    """Keeps what the last level of a network's encoder computed last, ``[B, F, d, h, w]``."""

    def __init__(self, network: nn.Module) -> None:
        self.values = torch.empty(0)
        encoder = network.get_submodule("encoder")
        encoder.get_submodule(str(len([*encoder.children()]) - 1)).register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.values = output


def similarities(features: Tensor, positions: torch.Size) -> Tensor:
    """Returns cosine similarities ``[B, N, N]`` of features ``[B, F, d, h, w]`` at any two of N positions."""
    pooled = nn.functional.adaptive_avg_pool3d(features.float(), (positions[0], positions[1], positions[2]))
    directions = nn.functional.normalize(pooled.flatten(2), dim=1)
    return directions.transpose(1, 2) @ directions


@dataclass
class _HintedStudent:
    """A student that learns from labels, a teacher's probabilities and its features (a `TrainingMethod`)."""

    student: str
    teacher: Teacher
    weight: float
    seen: list[_CoarsestFeatures] = field(default_factory=list)

    def build(self, task: Task) -> nn.Module:
        network = build_student(self.student, num_classes=task.num_classes)
        self.seen = [_CoarsestFeatures(network), _CoarsestFeatures(self.teacher.network)]
        return network

    def recorded(self) -> MethodRecord:
        options = Distillation(lam=_LAMBDA, imitation="dice-ce", targets="online", teachers=(self.teacher.record,))
        return MethodRecord(ModelConfig(kind="student", name=self.student), options, (self.teacher.learned_from,))

    def objective(self, prepared: PreparedRun, group: ProcessGroup) -> Objective:
        loss = DistillationLoss(_LAMBDA, imitation="dice-ce", balanced=prepared.run.config.recipe.balanced)
        own, teachers = self.seen

        def terms(logits: Tensor, batch: Batch) -> dict[str, Tensor]:
            features = own.values
            with torch.no_grad():
                probabilities = self.teacher.network(batch["image"]).float().softmax(1)
            found = loss.terms(logits, probabilities, batch["label"])
            if self.weight:
                positions = features.shape[2:]
                wanted = similarities(teachers.values, positions)
                hint = (similarities(features, positions) - wanted).square().mean()
                found["teacher"] = found["teacher"] + self.weight * hint
            return found

        return terms

    def sources(self, prepared: PreparedRun, group: ProcessGroup, progress: Progress | None) -> list[CropSource]:
        return [CropSource(case) for case in prepared.train]


def run(plan: Plan, dataset: Dataset, folder: Path, cases: Path, weight: float, seed: int) -> None:
    """Trains one student and scores it on the test cases."""
    teacher = Teacher.open(Path(plan.teacher))
    if teacher.task.preparation != plan.task.preparation or teacher.task.patch != plan.task.patch:
        raise SystemExit("the teacher needs the task's spacing, intensities and patch: it sees the student's crops")
    job = TrainingJob(
        dataset=dataset,
        task=plan.task,
        out=folder / "run",
        recipe=plan.recipe(seed, plan.steps, turns=False),
        hardware=Hardware("cpu"),
        prepared_cases=cases,
        resume=(folder / "run" / "config.toml").exists(),
    )
    begun = time.process_time()
    train(job, lambda: _HintedStudent(plan.student, teacher, weight), TrainingHooks())
    print(f"weight {weight:g}, seed {seed}: {time.process_time() - begun:.0f} CPU s", flush=True)
    network = load_student(folder / "run").model
    segment_test_cases(network, plan.task, dataset, folder / "predictions")
    data = Path(plan.data)
    evaluate_test_cases(folder / "predictions", data, data / "task.toml", folder / "scores.csv")


def table(out: Path) -> str:
    """Returns the finished runs as a table; gains against the training without a hint."""
    found: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    for file in sorted((out / "runs").glob("*/scores.csv")):
        weight, seed = file.parent.name.rsplit("_", 1)
        found[weight][int(seed)] = case_means(file)
    scores: dict[str, SeedScores] = {**found}
    gains = paired_gains(scores, "0")
    lines = ["| hint | seeds | Dice | each seed | gain | p |", "| -- | -- | -- | -- | -- | -- |"]
    for weight, of in scores.items():
        means = [100 * float(cases.mean()) for cases in of.values()]
        gain = f"{100 * gains[weight][0]:+.2f} | {gains[weight][1]:.2g}" if weight in gains else "– | –"
        each = ", ".join(f"{mean:.2f}" for mean in means)
        lines.append(f"| {weight} | {len(means)} | {np.mean(means):.2f} | {each} | {gain} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--teacher", type=Path, required=True, help="run directory")
    parser.add_argument("--student", default="unet-edge-fullres-small")
    parser.add_argument("--steps", type=int, default=860)
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 1.0], help="of the hint; 0: none")
    given = parser.parse_args()
    given.teacher = str(given.teacher.resolve())
    plan = given_plan(given, Plan)
    torch.set_num_threads(plan.threads)
    dataset = load_dataset(Path(plan.data), labels=plan.task.labels)
    for seed in given.seeds:
        for weight in given.weights:
            folder = given.out / "runs" / f"{weight:g}_{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "scores.csv").exists():
                run(plan, dataset, folder, given.out / "cases", weight, seed)
            (given.out / "tables.md").write_text(table(given.out))
    print((given.out / "tables.md").read_text())


if __name__ == "__main__":
    main()
