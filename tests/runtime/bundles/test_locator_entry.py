from __future__ import annotations

import msgspec
import pytest
from bedside.runtime import XYZ, Bundle, BundleError, UsageError, write_manifest
from bedside.runtime.bundles.locator_entry import LOCATOR_GOLDEN_LABELS, LocatorEntry

ENTRY = LocatorEntry(spacing=(6.0, 6.0, 6.0), patch=(48, 48, 32), threshold=0.2, margin_mm=18.0)


def test_its_task_is_the_bundles_on_a_coarse_grid_with_one_label(task):
    coarse = ENTRY.task(task)
    assert (coarse.labels, coarse.spacing, coarse.patch) == (("background", "organ"), (6.0,) * 3, XYZ(48, 48, 32))
    assert (coarse.intensity, coarse.orientation) == (task.intensity, task.orientation)


@pytest.mark.parametrize(
    ("field", "value"), [("threshold", 0.0), ("threshold", 1.0), ("margin_mm", -1.0), ("margin_mm", float("nan"))]
)
def test_impossible_values_are_refused_by_name(field, value):
    with pytest.raises(UsageError, match=f"locator.{field}"):
        LocatorEntry(**{**msgspec.structs.asdict(ENTRY), field: value})


def test_a_bundle_without_the_locators_files_is_refused(bundle_path):
    with Bundle.open(bundle_path) as bundle:
        manifest = msgspec.structs.replace(bundle.manifest, locator=ENTRY)
    with pytest.raises(BundleError, match=r"locator\.onnx, locator_golden_input\.npy, locator_golden_output\.npy"):
        write_manifest(bundle_path, manifest)


def test_the_labels_of_its_golden_patch_are_among_its_files_unless_an_older_export_has_none():
    assert ENTRY.files == ("locator.onnx", "locator_golden_input.npy", "locator_golden_output.npy")
    present = msgspec.structs.replace(ENTRY, golden_labels=LOCATOR_GOLDEN_LABELS)
    assert present.files == (*ENTRY.files, "locator_golden_labels.npy")


def test_a_manifest_with_a_spacing_that_no_task_can_have_is_refused(bundle_path):
    with Bundle.open(bundle_path) as bundle, pytest.raises(UsageError, match="spacing"):
        msgspec.structs.replace(bundle.manifest, locator=msgspec.structs.replace(ENTRY, spacing=(0.0, 6.0, 6.0)))
