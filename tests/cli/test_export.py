"""`bedside export` and `bedside inspect`: from a run directory to a bundle that runs."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr
from pathlib import Path

import numpy as np
import pytest
from bedside.cli.main import run as bedside
from bedside.runtime import Bundle, Grid, Postprocessing, Task, write_volume
from bedside.runtime.engines import supports
from bedside.runtime.task import Intensity, Modality
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Distillation, ModelConfig, Run, RunConfig

TASK = Task(
    name="toy",
    modality=Modality.CT,
    labels=("background", "fat", "bone"),
    spacing=(3.0, 3.0, 3.0),
    intensity=Intensity(clip=(-1000.0, 1000.0), scale_to=(0.0, 1.0)),
    patch=(32, 16, 8),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student's run, and a data set of one case."""
    folder = tmp_path_factory.mktemp("export")
    config = RunConfig(
        model=ModelConfig(kind="student", name="unet-nano"),
        task=TASK,
        recipe=Recipe(),
        dataset="toy",
        data_hash="cd" * 32,
        distillation=Distillation(lam=0.5, teacher="big-one"),
    )
    run = Run.create(folder / "student", config, resume=False)
    run.start()
    for epoch, dice in enumerate((0.2, 0.6, 0.4)):
        run.log(epoch, {"loss": 1.0, "dice": dice, "dice_fat": dice})

    labels = np.zeros((40, 24, 24), np.uint8)
    labels[4:36, 4:20, 4:20] = 1  # fat only: no case has bone
    image = np.where(labels == 1, -100.0, -1000.0).astype(np.float32)
    grid = Grid(labels.shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    for name, array in (("image.nii.gz", image), ("label.nii.gz", labels)):
        write_volume(folder / name, array, grid)
    case = {"image": "image.nii.gz", "label": "label.nii.gz"}
    listing = {"labels": {"0": "background", "1": "fat", "2": "bone"}, "training": [case], "validation": [case]}
    (folder / "dataset.json").write_text(json.dumps(listing))
    return folder


@pytest.fixture(scope="module")
def exported(folder: Path) -> Path:
    """The bundle of that run; two convolutions stand in for its network, which takes a quarter of a minute to trace."""
    import torch
    from bedside import distill

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 3, padding=1), torch.nn.Conv3d(4, 3, 3, padding=1))

    def load_student(path: Path) -> distill.LoadedStudent:
        run = Run.open(path)
        config = run.config
        assert config.distillation is not None
        return distill.LoadedStudent(
            network,
            config.task,
            config.model.name,
            config.distillation.lam,
            config.distillation.teacher,
            config.data_hash,
            run.rows()[-1],
        )

    words = ["--calibration", str(folder / "dataset.json"), "--patches", "2", "--threads", "1", "-q", "--within-body"]
    words += ["--largest-component", "fat", "--min-volume", "bone=2.5"]
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(io.StringIO()) as said:
        patch.setattr(distill, "load_student", load_student)
        assert bedside(["export", str(folder / "student"), "-o", str(folder / "b"), *words]) == 0
    (folder / "said.txt").write_text(said.getvalue())
    return folder / "b"


def test_the_bundle_carries_the_runs_origin_and_dice_of_the_gate_case(exported):
    with Bundle.open(exported) as bundle:
        manifest = bundle.manifest
    assert manifest.task == TASK
    assert manifest.provenance.student == "unet-nano"
    assert (manifest.provenance.teacher, manifest.provenance.lam) == ("big-one", 0.5)
    assert manifest.provenance.data_hash == "cd" * 32
    assert manifest.provenance.training["epoch"] == "2"
    assert "memory, not skill" in manifest.provenance.training["gate"]  # the one case is in both lists
    assert len(manifest.variants) == (6 if supports("openvino", "bf16") else 4)
    for variant in manifest.variants:
        assert set(variant.dice) == {"fat"}  # bone is absent: left out, not counted as 0 or 1
        assert 0 <= variant.dice["fat"] <= 1
        assert variant.parity is not None
        assert variant.parity.max_abs_probability <= (1e-4 if variant.precision == "fp32" else 0.02)


def test_the_bundle_declares_the_post_processing_asked_for_and_its_card_says_so(exported):
    with Bundle.open(exported) as bundle:
        declared = bundle.manifest.postprocessing
    assert declared == Postprocessing(largest_component=("fat",), min_volume_ml={"bone": 2.5}, within_body=True)
    assert str(declared) in (exported / "README.md").read_text()


def test_export_warns_of_every_variant_that_failed_at_the_gate(exported, folder):
    """int8 of the random network labels four voxels in five like it."""
    with Bundle.open(exported) as bundle:
        failed = [variant for variant in bundle.manifest.variants if variant.passed is False]
    assert "int8" in {variant.precision for variant in failed}
    warned = [line for line in (folder / "said.txt").read_text().splitlines() if "failed at the gate" in line]
    assert len(warned) == len(failed)
    assert all(variant.gate_reason in line for variant, line in zip(failed, warned, strict=True))


def test_inspect_tells_passed_from_failed_and_why(exported, capsys):
    assert bedside(["inspect", str(exported)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "passed" in text
    assert "openvino int8 failed: " in text
    assert "of the voxels have the student's label (at least 99 %)" in text


def test_inspect_json_of_a_bundle_is_one_object_with_variants_parity_and_sizes(exported, capsys):
    assert bedside(["inspect", str(exported), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == "bundle"
    assert facts["task"]["labels"] == ["background", "fat", "bone"]
    assert (
        facts["bytes"]
        == sum(
            path.stat().st_size for path in exported.rglob("*.*") if path.name not in ("bundle.json", "bundle.sha256")
        )
        + (exported / "LICENSE").stat().st_size
    )
    openvino = facts["variants"][1]
    files = [exported / "openvino" / f"model.fp32.{ending}" for ending in ("xml", "bin")]
    assert openvino["bytes"] == sum(path.stat().st_size for path in files)
    assert openvino["parity"]["patches"] == 8
    assert facts["licence"] == "Apache-2.0"


def test_inspect_shows_a_bundle_to_people(exported, capsys):
    assert bedside(["inspect", str(exported)]) == 0
    text = capsys.readouterr().out
    for word in ("toy", "unet-nano", "big-one", "openvino int8", "fat", "Apache-2.0", "Not a medical device"):
        assert word in text


def test_inspect_refuses_an_altered_bundle_with_exit_code_4(exported, tmp_path, capsys):
    import shutil

    copy = Path(shutil.copytree(exported, tmp_path / "copy"))
    with (copy / "model.fp32.onnx").open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    assert bedside(["inspect", str(copy)]) == 4
    assert "model.fp32.onnx" in capsys.readouterr().err


def test_inspect_shows_a_run_with_its_best_and_last_epoch(folder, capsys):
    assert bedside(["inspect", str(folder / "student"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == "run"
    assert (facts["epochs"], facts["best"]["epoch"], facts["best"]["dice"]) == (3, "1", "0.6")
    assert facts["last"]["epoch"] == "2"
    assert facts["config"]["model"]["name"] == "unet-nano"
    assert bedside(["inspect", str(folder / "student")]) == 0
    text = capsys.readouterr().out
    assert "unet-nano" in text
    assert "0.6" in text
    assert "dice_fat" not in text


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["inspect", "nowhere"], 3, "does not exist; expected a bundle"),
        (["export", "{run}", "-o", "{new}"], 2, "give --calibration DATASET"),
        (["export", "{run}", "-o", "{new}", "--precision", "fp16"], 2, "expected fp32 or fp32,int8"),
        (["export", "{data}", "-o", "{new}", "--precision", "fp32"], 3, "not a run directory"),
        (["export", "{run}", "-o", "{new}", "--precision", "fp32"], 3, "no checkpoint"),
    ],
)
def test_wrong_calls_end_in_one_line_with_the_familys_exit_code(folder, tmp_path, capsys, words, code, message):
    places = {"run": folder / "student", "data": folder, "new": tmp_path / "new.bedside"}
    assert bedside([word.format(**places) for word in words]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert not list(tmp_path.iterdir())
