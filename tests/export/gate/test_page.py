"""The page says what the manifest says, and needs no other file."""

from __future__ import annotations

import re

import msgspec
import numpy as np
import pytest
from bedside.export import ExportCases
from bedside.export.gate.dice import PackedLabels, VariantScores
from bedside.export.gate.page import check_page, write_parity_page
from bedside.runtime import Bundle
from bedside.runtime.bundles.figures import (
    BorderProbabilities,
    DiceDrop,
    OverlapPoint,
    SensitiveLayer,
    SpuriousVolume,
    TimedMachine,
)
from bedside.runtime.bundles.manifest import Manifest
from bedside.runtime.errors import ResourceError, UsageError


@pytest.fixture
def manifest(bundle_path) -> Manifest:
    """One that passed and is not worth it, int8, and one that failed, bf16."""
    with Bundle.open(bundle_path) as bundle:
        manifest = bundle.manifest
    drop = DiceDrop(mean=0.0012, low=-0.0005, high=0.0030)
    border = BorderProbabilities(voxels=9, difference=0.0123, confidence_shift=0.0045, confidence_error=0.0678)
    fp32, int8 = manifest.variants
    fp32 = msgspec.structs.replace(fp32, dice={"fat": 0.9}, passed=True, ms_per_window=80.0)
    int8 = msgspec.structs.replace(
        int8, dice={"fat": 0.8988}, dice_drop=drop, organ_drops={"fat": drop}, borders={"fat": border}, passed=True,
        ms_per_window=79.0, spurious={"fat": SpuriousVolume(cases=1, excess_ml=0.34, organ_ml=20.0)},
    )  # fmt: skip
    invented = {"bone": SpuriousVolume(cases=1, excess_ml=7.5, organ_ml=0.0)}
    bf16 = msgspec.structs.replace(
        int8, precision="bf16", passed=False, gate_reason="fat: lost", ms_per_window=40.0, spurious=invented,
        timed_device="GPU.1, Some GPU, driver 1",
    )  # fmt: skip
    return msgspec.structs.replace(
        manifest,
        variants=(fp32, int8),
        left_out=(bf16,),
        gate_cases=1,
        sensitive_layers=(
            SensitiveLayer(name="encoder.1.1.0", price=0.609),
            SensitiveLayer(name="head", price=1.25, precision="uint8"),
        ),
        timed_on=TimedMachine(identity="0" * 64, cpu="Some CPU", threads=2),
        overlap_curve=(
            OverlapPoint(overlap=0.25, dice={"fat": 0.9}, windows=8, seconds=1.5),
            OverlapPoint(overlap=0.5, dice={"fat": 0.9}, windows=27, seconds=4.5),
        ),
    )


@pytest.fixture
def page(manifest, toy_case, tmp_path) -> str:
    labels = np.zeros((20, 16, 12), np.uint8)
    run = VariantScores(
        manifest.task.labels, np.array([[1, 0.9, np.nan]]), (PackedLabels.of(labels),), (8,), (1.5,), np.zeros((1, 3))
    )
    scores = {variant.name: run for variant in manifest.all_variants}
    return write_parity_page(tmp_path / "p.html", manifest, ExportCases(gate=[toy_case]), scores).read_text()


def test_a_page_in_the_bundle_is_refused_before_the_work(tmp_path):
    bundle = tmp_path / "b.bedside"
    check_page(tmp_path / "p.html", bundle)
    with pytest.raises(UsageError, match=r'"p\.html" would lie in the bundle "b\.bedside"'):
        check_page(bundle / "p.html", bundle)


def test_a_page_that_would_replace_a_scan_or_lie_in_another_bundle_or_nowhere_is_refused(tmp_path):
    bundle, other = tmp_path / "b.bedside", tmp_path / "other.bedside"
    other.mkdir()
    for name in ("bundle.json", "bundle.sha256"):
        (other / name).touch()
    with pytest.raises(UsageError, match=r"name ending in \.html"):
        check_page(tmp_path / "ct.nii.gz", bundle)
    with pytest.raises(UsageError, match=r'outside the bundle "other\.bedside"'):
        check_page(other / "p.html", bundle)
    with pytest.raises(ResourceError, match=r'"p\.html": cannot be written'):
        check_page(tmp_path / "none" / "p.html", bundle)


def test_an_earlier_page_may_be_replaced_and_another_file_is_refused(page, tmp_path):
    bundle, there = tmp_path / "b.bedside", tmp_path / "there.html"
    there.write_text(page)
    check_page(there, bundle)
    there.write_text("<title>Plan for a device</title> research software, not a medical device")
    with pytest.raises(UsageError, match=r"expected nothing there, or an earlier result of this command"):
        check_page(there, bundle)


def test_it_is_one_file(page):
    assert not re.search(r'(src|href)="(?!data:)|https?://|@import|<script', page)
    assert page.count("data:image/png;base64,") == 4  # losses, overlaps, and the worst case of two variants


def test_volumes_of_organs_that_a_variant_invents_are_listed(page):
    assert "<td>+0.34</td>" in page


def test_so_is_an_organ_that_no_gate_case_and_no_patch_has(page):
    table = page.partition("Organs in cases that lack them")[2].partition("</table>")[0]
    assert "<td>+7.5</td>" in table


def test_the_lead_calls_gate_cases_neither_held_out_nor_zero(page, manifest, tmp_path):
    assert "in float32, on 1 gate case." in " ".join(page.split())
    manifest = msgspec.structs.replace(manifest, gate_cases=0, variants=manifest.variants[:1], left_out=())
    alone = write_parity_page(tmp_path / "alone.html", manifest, ExportCases(), {}).read_text()
    assert "in float32, on patches alone: there are no gate cases." in " ".join(alone.split())


def test_a_time_of_a_gpu_names_it(page):
    assert "<td>79</td>" in page
    assert "<td>40 (GPU.1, Some GPU, driver 1)</td>" in page


def test_it_names_what_failed_and_what_is_not_worth_it(page):
    text = " ".join(re.sub("<[^>]*>", "", page).split())
    assert "onnxruntime bf16 failed and is not in the bundle." in text
    assert "onnxruntime bf16 failed: fat: lost." in text
    assert "passed, not worth it" in text
    assert "not 5 % faster than onnxruntime fp32 (79 against 80 ms per window)" in text
    assert "Times are of Some CPU with 2 threads unless they name another device" in text


def test_it_has_the_figures_of_every_organ(page):
    text = " ".join(re.sub("<[^>]*>", "", page).split())
    assert "0.8988 +0.0012 (-0.0005 … +0.0030)" in text
    assert "0.0123 shift 0.0045error 0.0678" in text
    assert "Layers kept out of int8" in text
    assert "int8encoder.1.1.061 % uint8head125 %".replace(" ", "") in text.replace(" ", "")
    assert "0.25 0.9000 8 1.5".replace(" ", "") in text.replace(" ", "")


def test_it_says_that_one_case_shows_little(page):
    assert "expected at least 10 gate cases, got 1" in page


def test_it_has_the_bounds_of_equal_labels(page):
    text = " ".join(re.sub("<[^>]*>", "", page).split())
    assert "at least 99 % of the voxels" in text
    assert "without gate cases 99.5 %, and of fp16, which only rounds, always 99.9 %" in text


def test_no_name_of_a_scan_is_on_it(page):
    assert "image.nii" not in page
