"""A label map that a person corrected with a program that keeps the header: no folder run replaces it unasked."""

import json

import nibabel as nib
import numpy as np
import pytest
from bedside.cli.segment.journal import Journal
from bedside.runtime import Segmenter, UsageError


@pytest.fixture
def correct():
    """A function that corrects a label map as a person does whose program keeps the header; returns its bytes."""

    def corrected(path):
        image = nib.load(path)
        labels = np.asarray(image.dataobj).copy()
        labels[0, 0, :3] = 1
        nib.save(nib.Nifti1Image(labels, image.affine, image.header), path)
        return path.read_bytes()

    return corrected


def refused(run, bundle, scans, out, told, *words):
    with pytest.raises(UsageError, match=rf'"out": .* would replace {told}; '):
        run(bundle, scans, out, *words)


@pytest.fixture
def other_scans(tmp_path, cube, save):
    """A second folder, with the scan c.nii.gz."""
    (tmp_path / "others").mkdir()
    save(tmp_path / "others" / "c.nii.gz", cube(7))
    return tmp_path / "others"


@pytest.mark.parametrize("words", [(), ("--overlap", "0.5")], ids=["same setup", "another setup"])
def test_a_folder_made_anew_leaves_the_corrected_label_maps_of_other_scans(
    bundle_path, scans, other_scans, tmp_path, correct, run, words
):
    out = tmp_path / "out"
    run(bundle_path, scans, out)
    before = correct(out / "a.nii.gz")
    assert run(bundle_path, other_scans, out, "--force", *words).exit_code == 0
    kept = [] if words else ["a.nii.gz", "b.nii"]
    assert list(json.loads((out / "segment.json").read_text())["cases"]) == [*kept, "c.nii.gz"]
    refused(run, bundle_path, scans, out, r"a\.nii\.gz \(changed since it was made\)", *words)
    assert (out / "a.nii.gz").read_bytes() == before


@pytest.mark.parametrize("journal", [None, "{"], ids=["gone", "unreadable"])
def test_a_label_map_that_the_journal_does_not_know_is_not_replaced(
    bundle_path, scans, other_scans, tmp_path, correct, run, journal
):
    out = tmp_path / "out"
    run(bundle_path, scans, out)
    before = correct(out / "a.nii.gz")
    if journal is None:
        (out / "segment.json").unlink()
    else:
        (out / "segment.json").write_text(journal)
    assert run(bundle_path, other_scans, out, "--force").exit_code == 0
    told = r"a\.nii\.gz \(not in segment\.json\), b\.nii\.gz \(not in segment\.json\)"
    refused(run, bundle_path, scans, out, told)
    assert (out / "a.nii.gz").read_bytes() == before


@pytest.mark.parametrize("words", [(), ("--force",)], ids=["called again", "made anew"])
def test_a_corrected_label_map_stays_after_a_run_that_could_not_read_its_scan(
    bundle_path, scans, tmp_path, correct, run, words
):
    out, scan = tmp_path / "out", (scans / "b.nii").read_bytes()
    run(bundle_path, scans, out)
    (scans / "b.nii").unlink()
    (scans / "b.nii").symlink_to(tmp_path / "nowhere")
    assert run(bundle_path, scans, out, *words).exit_code == 3
    before = correct(out / "b.nii.gz")
    (scans / "b.nii").unlink()
    (scans / "b.nii").write_bytes(scan)
    refused(run, bundle_path, scans, out, r"b\.nii\.gz \(changed since it was made\)")
    assert (out / "b.nii.gz").read_bytes() == before


@pytest.mark.parametrize("same", [True, False])
def test_after_a_failure_an_unchanged_label_map_is_made_again_from_the_same_scan_alone(
    bundle_path, scans, tmp_path, segmented, cube, save, run, same
):
    out, scan = tmp_path / "out", (scans / "b.nii").read_bytes()
    run(bundle_path, scans, out)
    (scans / "b.nii").write_bytes(b"no scan")
    assert run(bundle_path, scans, out, "--force").exit_code == 3
    if same:
        (scans / "b.nii").write_bytes(scan)
        segmented.clear()
        assert run(bundle_path, scans, out).exit_code == 0
        assert segmented == ["b.nii"]
    else:
        save(scans / "b.nii", cube(8))
        refused(run, bundle_path, scans, out, r"b\.nii\.gz \(made from another scan\)")


def test_a_label_map_put_where_a_scan_failed_is_not_replaced(bundle_path, scans, tmp_path, correct, cube, save, run):
    """The scan is segmented elsewhere, corrected, and the label map brought here."""
    out = tmp_path / "out"
    (scans / "b.nii").write_bytes(b"no scan")
    assert run(bundle_path, scans, out).exit_code == 3
    save(scans / "b.nii", cube(5))
    (out / "b.nii.gz").write_bytes((out / "a.nii.gz").read_bytes())
    before = correct(out / "b.nii.gz")
    refused(run, bundle_path, scans, out, r"b\.nii\.gz \(not in segment\.json\)")
    assert (out / "b.nii.gz").read_bytes() == before


def test_a_corrected_label_map_is_known_by_its_place_whatever_the_scan_is_called(
    bundle_path, scans, tmp_path, correct, run
):
    out = tmp_path / "out"
    run(bundle_path, scans, out)
    before = correct(out / "b.nii.gz")
    nib.save(nib.load(scans / "b.nii"), scans / "b.nii.gz")
    (scans / "b.nii").unlink()
    refused(run, bundle_path, scans, out, r"b\.nii\.gz \(changed since it was made\)")
    assert (out / "b.nii.gz").read_bytes() == before


def test_a_journal_of_an_earlier_version_knows_its_label_maps(bundle_path, scans, tmp_path, segmented, correct, run):
    out = tmp_path / "out"
    run(bundle_path, scans, out)
    journal = json.loads((out / "segment.json").read_text())
    del journal["label_maps"]
    (out / "segment.json").write_text(json.dumps(journal))
    segmented.clear()
    assert run(bundle_path, scans, out).exit_code == 0
    assert segmented == []
    (out / "segment.json").write_text(json.dumps(journal))
    correct(out / "a.nii.gz")
    refused(run, bundle_path, scans, out, r"a\.nii\.gz \(changed since it was made\)")


@pytest.fixture
def interrupted(monkeypatch, run):
    """A function that runs a folder whose run ends at the scan b.nii, or at once, killed, with what it wrote for a."""

    def run_until(at, *arguments):
        def stop(*_):
            raise KeyboardInterrupt

        reserve = Segmenter.reserve

        def reserve_until(self, scan, *given, **options):
            return stop() if scan.name == at else reserve(self, scan, *given, **options)

        with monkeypatch.context() as patched:
            if at == "killed":
                patched.setattr(Journal, "with_outcome", stop)
                patched.setattr(Journal, "interrupted", lambda journal, _: journal)
            else:
                patched.setattr(Segmenter, "reserve", reserve_until)
            assert run(*arguments).exit_code == 130

    return run_until


@pytest.mark.parametrize("words", [(), ("--overlap", "0.5")], ids=["same setup", "another setup"])
def test_a_killed_run_that_made_all_anew_is_gone_on_with(
    bundle_path, scans, tmp_path, segmented, interrupted, run, words
):
    out = tmp_path / "out"
    run(bundle_path, scans, out)
    interrupted("killed", bundle_path, scans, out, "--force", *words)
    segmented.clear()
    assert run(bundle_path, scans, out, *words).exit_code == 0
    assert segmented == ["a.nii.gz", "b.nii"]


def test_what_comes_to_a_place_that_an_interrupted_run_never_reached_is_not_replaced(
    bundle_path, scans, tmp_path, correct, interrupted, run
):
    out = tmp_path / "out"
    interrupted("b.nii", bundle_path, scans, out)
    (out / "b.nii.gz").write_bytes((out / "a.nii.gz").read_bytes())
    before = correct(out / "b.nii.gz")
    refused(run, bundle_path, scans, out, r"b\.nii\.gz \(not in segment\.json\)")
    assert (out / "b.nii.gz").read_bytes() == before


@pytest.mark.parametrize("at", ["b.nii", "killed"])  # killed while it had the first scan in hand
def test_a_label_map_that_a_run_that_made_all_anew_never_reached_is_not_replaced_once_it_is_corrected(
    bundle_path, scans, tmp_path, correct, interrupted, run, at
):
    out = tmp_path / "out"
    run(bundle_path, scans, out)
    interrupted(at, bundle_path, scans, out, "--force")
    before = correct(out / "b.nii.gz")
    refused(run, bundle_path, scans, out, r"b\.nii\.gz \(changed since it was made\)")
    assert (out / "b.nii.gz").read_bytes() == before
