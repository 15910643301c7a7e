"""The gate from a bundle's folder to the manifest with its verdicts."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from bedside.export import ExportCases, ExportOptions
from bedside.export.gate import gate as module
from bedside.export.gate.dice import VariantScores
from bedside.export.gate.gate import Gate
from bedside.export.golden import GoldenPatch
from bedside.export.parity import NotFiniteError
from bedside.export.progress import ExportSteps
from bedside.runtime import Bundle, read_volume, write_volume
from bedside.runtime.bundles.figures import Parity, SpuriousVolume
from bedside.runtime.engines.engine import BaseEngine

GOOD = Parity(max_abs_probability=0.0, mean_abs_probability=0.0, label_agreement=1.0, patches=1)
GOLDEN = GoldenPatch(np.zeros((1, 1, 8, 12, 16), np.float32), np.zeros((1, 3, 8, 12, 16), np.float32))


@pytest.fixture
def manifest(bundle_path):
    """Two variants of the same network, compared with the student."""
    with Bundle.open(bundle_path) as bundle:
        manifest = bundle.manifest
    return msgspec.structs.replace(
        manifest, variants=tuple(msgspec.structs.replace(each, parity=GOOD) for each in manifest.variants)
    )


@pytest.fixture
def run(bundle_path, manifest, toy_case):
    """Runs the gate with some options; the result, and the notes of the steps."""

    def gate(given=manifest, cases=1, **options):
        notes: list[tuple[int, int, str]] = []
        chosen = ExportCases(gate=[toy_case] * cases)
        made = ExportOptions(precisions=["fp32"], threads=1, **options)
        steps = ExportSteps(Gate.step_count(2, chosen, made), lambda *step: notes.append(step))
        return Gate(bundle_path, chosen, made, steps).run(given, GOLDEN), notes

    return gate


def test_every_variant_gets_dice_times_and_a_verdict(run):
    result, notes = run()
    fp32, int8 = result.manifest.variants
    assert fp32.dice == int8.dice == {"fat": 1.0, "bone": 1.0}
    assert (fp32.dice_drop, int8.dice_drop.mean, set(int8.organ_drops)) == (None, 0.0, {"fat", "bone"})
    assert fp32.passed is int8.passed is True
    assert all(variant.ms_per_window > 0 for variant in (fp32, int8))
    assert result.manifest.gate_cases == 1
    assert len(result.manifest.gate_data_hash) == 64
    assert result.manifest.timed_on.threads == 1
    assert set(result.scores) == {"onnxruntime fp32", "onnxruntime int8"}
    assert [done for done, _, _ in notes] == list(range(6 + 2 + 2))
    assert {total for _, total, _ in notes} == {10}


def test_a_case_without_an_organ_counts_what_a_variant_invents_of_it(run, monkeypatch):
    def scores(bundle, variant, cases, **_):
        invented = 40.0 if variant.precision == "int8" else 0.5
        dice, volumes = np.array([[1, 1, 1], [1, 1, np.nan]]), np.array([[0, 90, 60], [0, 90, invented]])
        return VariantScores(("background", "fat", "bone"), dice, (), (1, 1), (1.0, 1.0), volumes)

    monkeypatch.setattr(module, "segment_cases", scores)
    fp32, int8 = run(cases=2, overlap=0.5, keep_failed=True)[0].manifest.variants
    assert (fp32.passed, fp32.spurious) == (True, {})
    assert int8.spurious == {"bone": SpuriousVolume(cases=1, excess_ml=39.5, organ_ml=60.0)}
    assert int8.gate_reason == "bone: 39.5 ml more than fp32 in a case without it (at most 6)"


def test_cases_without_an_organ_take_part_in_what_is_invented_alone(bundle_path, manifest, monkeypatch):
    seen: list[int] = []

    def scores(bundle, variant, cases, **_):
        seen.append(len(cases))
        dice = np.array([[1, 1, 1], [1, np.nan, np.nan]])
        return VariantScores(("background", "fat", "bone"), dice, (), (1, 1), (1.0, 1.0), np.zeros((2, 3)))

    monkeypatch.setattr(module, "segment_cases", scores)
    monkeypatch.setattr(ExportCases, "gate_data_hash", lambda _: "")  # the files are none
    cases = ExportCases(gate=[("a.nii", "b.nii")], without_organ=[("c.nii", "d.nii")])
    options = ExportOptions(precisions=["fp32"], threads=1, overlap=0.5)
    found = Gate(bundle_path, cases, options, ExportSteps(9, None)).run(manifest, GOLDEN).manifest
    assert seen == [2, 2]
    assert (found.gate_cases, Gate.step_count(2, cases, options)) == (1, 2 * 2 + 2)
    assert {organ: each.cases for organ, each in found.variants[1].spurious.items()} == {"fat": 1, "bone": 1}


def test_the_overlap_is_chosen_on_the_gate_cases_with_fp32(run):
    result, _ = run()
    assert [point.overlap for point in result.manifest.overlap_curve] == [0, 0.125, 0.25, 0.5, 0.625, 0.75]
    assert "with onnxruntime fp32" in result.manifest.overlap_reason


def test_an_overlap_that_the_caller_chose_is_kept_and_not_measured(run, manifest):
    result, notes = run(overlap=0.25)
    assert result.manifest.overlap_curve == ()
    assert result.manifest.recommended_overlap == manifest.recommended_overlap
    assert len(notes) == 4


@pytest.mark.parametrize("keep", [False, True])
def test_what_failed_is_left_out_unless_asked_for(run, monkeypatch, keep):
    real = module.judge

    def judge(variants):
        return tuple(
            msgspec.structs.replace(each, passed=False, gate_reason="lost") if each.precision == "int8" else each
            for each in real(variants)
        )

    monkeypatch.setattr(module, "judge", judge)
    manifest = run(keep_failed=keep)[0].manifest
    assert [each.name for each in manifest.failed] == ["onnxruntime int8"]
    assert len(manifest.variants) == (2 if keep else 1)
    assert len(manifest.left_out) == (0 if keep else 1)


def test_what_was_left_out_before_stays_so(run, manifest, monkeypatch):
    fp32, int8 = manifest.variants
    broken = msgspec.structs.replace(int8, passed=False, gate_reason="NaN", parity=None)
    before = msgspec.structs.replace(manifest, variants=(fp32,), left_out=(broken,))
    result = run(before, keep_failed=True, overlap=0.5)[0].manifest
    assert (len(result.variants), result.left_out) == (1, (broken,))


def test_without_gate_cases_only_times_are_measured(run):
    result, notes = run(cases=0)
    assert result.scores == {}
    assert [each.dice for each in result.manifest.variants] == [{}, {}]
    assert all(each.ms_per_window for each in result.manifest.variants)
    assert len(notes) == 2


@pytest.fixture
def blind_in_metal(toy_case, monkeypatch):
    """Puts a voxel of metal into the first of the case's windows, and lets a precision return NaN where it sees that.

    The overlapping windows label fat and bone all the same, so that Dice shows nothing.
    """
    scan = read_volume(toy_case[0])
    image = scan.data.copy()
    image[1, 1, 1] = 1000.0  # the network sees 1.0; bone is 0.9
    write_volume(toy_case[0], image, scan.grid)
    real = BaseEngine.infer

    def blind(precision):
        def infer(self, patches):
            lost = self.precision == precision and patches.max() > 0.95
            return real(self, patches) * np.float32(np.nan if lost else 1)

        monkeypatch.setattr(BaseEngine, "infer", infer)

    return blind


@pytest.mark.parametrize("keep", [False, True])
def test_a_variant_that_returns_nan_in_a_window_of_a_case_is_left_out_without_figures(run, blind_in_metal, keep):
    blind_in_metal("int8")
    result, _ = run(overlap=0.5, keep_failed=keep)
    assert [each.name for each in result.manifest.variants] == list(result.scores) == ["onnxruntime fp32"]
    (int8,) = result.manifest.left_out
    assert (int8.passed, int8.parity, int8.dice) == (False, None, {})
    assert int8.gate_reason == "the output of onnxruntime int8 holds NaN or infinity in 1 of 8 windows of gate case 1"


@pytest.mark.parametrize("overlap", [0.5, None])
def test_fp32_that_returns_nan_in_a_window_of_a_case_is_not_exported(run, blind_in_metal, overlap):
    """Where the overlap is measured too, that is the first to find it."""
    blind_in_metal("fp32")
    with pytest.raises(NotFiniteError, match="the output of onnxruntime fp32 holds NaN or infinity in 1 of 8 windows"):
        run(overlap=overlap)
