"""Measures one implementation of a training step in this process. Run by teacher_cost.py: JSON in, JSON out."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from bedside.runtime.memory.resident import resident_bytes
from bedside.teacher import teacher_config
from bedside.teacher.autosam import reference as autosam_reference
from bedside.teacher.config import TeacherConfig
from bedside.teacher.sautomed import reference as sautomed_reference
from bedside.teacher.selfprompt import reference as selfprompt_reference
from bedside.training.loop.losses import segmentation_loss
from bedside.training.loop.objective import DeepLogits, supervised_terms, total
from torch import Tensor, nn

IMPLEMENTATIONS = ("plain", "bedside", "bedside, checkpointed")
PLAIN: dict[str, Callable[..., Tensor | DeepLogits]] = {
    "autosam": autosam_reference.plain_logits,
    "3d-sautomed": sautomed_reference.plain_logits,
    "self-prompt-sam": selfprompt_reference.plain_logits,
}
"""Family → its plain network: logits of a network and of patches."""

_PROCESS = Path("/proc/self")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case to measure.

    Attributes:
        name: teacher family, a row of `PLAIN`.
        implementation: row of `IMPLEMENTATIONS`.
        sam: name of the image encoder.
        classes: number of output channels.
        patch: voxels along each side.
        batch: patches per step.
        device: "cpu" or "cuda".
        steps: steps that are measured, after one that is not: it loads code and compiles kernels.
        threads: CPU threads.
    """

    name: str
    implementation: str
    sam: str
    classes: int
    patch: int
    batch: int
    device: str
    steps: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The figures of a case.

    Attributes:
        implementation: row of `IMPLEMENTATIONS`.
        peak: bytes at the peak of a timed step, above the network without gradients; the largest of all steps.
        seconds: seconds of the fastest timed step (on a CPU: processor seconds).
        loss: loss of the first step.
        gradient: norm of the first step's gradient.
    """

    implementation: str
    peak: int
    seconds: float
    loss: float
    gradient: float


def measured_config(case: Case) -> TeacherConfig:
    """Returns the options of the network that a case measures."""
    checkpointed = case.implementation == "bedside, checkpointed"
    return teacher_config(case.name, sam=case.sam, train_encoder=False, checkpoint_activations=checkpointed)


def network(case: Case) -> tuple[nn.Module, Callable[[Tensor], Tensor | DeepLogits]]:
    """Returns the network, with equal weights in every implementation, and the function that computes its output."""
    torch.manual_seed(0)
    model = measured_config(case).build(case.classes, case.patch).to(case.device)
    if case.implementation != "plain":
        return model, model
    return model, lambda x: PLAIN[case.name](model, x)


def measured(case: Case) -> Measured:
    """Runs the steps of a case."""
    torch.set_num_threads(case.threads)
    model, output = network(case)
    size = (case.batch, 1, *(case.patch,) * 3)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(size, generator=generator).to(case.device)
    labels = torch.randint(case.classes, size, generator=generator).float().to(case.device)
    loss = segmentation_loss()

    def objective(logits: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"labels": loss(logits, batch["label"])}

    meter = _Cuda() if case.device == "cuda" else _Cpu()
    peaks, seconds = [], []
    first_loss = gradient = 0.0
    for step in range(case.steps + 1):
        model.zero_grad(set_to_none=True)
        gc.collect()
        meter.start()
        value = total(supervised_terms(objective, output(images), {"label": labels}))
        value.backward()
        taken, peak = meter.stop()
        peaks.append(peak)
        seconds.append(taken)
        if step == 0:
            first_loss = float(value.detach())
            gradients = [p.grad for p in model.parameters() if p.grad is not None]
            gradient = float(torch.nn.utils.get_total_norm(gradients))
            del gradients
        del value
    return Measured(
        implementation=case.implementation,
        peak=max(peaks[1:]),
        seconds=min(seconds[1:]),
        loss=first_loss,
        gradient=gradient,
    )


class _Cpu:
    """Processor seconds, and the kernel's high-water mark of physical memory above what was held before."""

    def start(self) -> None:
        ctypes.CDLL(None).malloc_trim(0)  # heap that the previous step freed must not count as the network's
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
        self.held = resident_bytes()
        self.begun = time.process_time()

    def stop(self) -> tuple[float, int]:
        seconds = time.process_time() - self.begun
        lines = (_PROCESS / "status").read_text(encoding="ascii").splitlines()
        high = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
        return seconds, high - self.held


class _Cuda:
    """Seconds until the GPU is done, and the most that torch had allocated on it above what was held before."""

    def start(self) -> None:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        self.held = torch.cuda.memory_allocated()
        self.begun = time.perf_counter()

    def stop(self) -> tuple[float, int]:
        torch.cuda.synchronize()
        return time.perf_counter() - self.begun, torch.cuda.max_memory_allocated() - self.held


if __name__ == "__main__":
    print(json.dumps(asdict(measured(Case(**json.load(sys.stdin))))))
