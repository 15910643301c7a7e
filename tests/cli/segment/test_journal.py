"""A folder called again: what is finished stays, and nothing of another origin is mixed in or replaced."""

import json
import os

import numpy as np
import pytest
from bedside.cli.segment.journal import Journal
from bedside.runtime import InputError, ResourceError, Segmenter, UsageError


def test_called_again_only_the_rest_is_segmented(bundle_path, scans, tmp_path, segmented, cube, save, run):
    run(bundle_path, scans, tmp_path / "out")
    save(scans / "c.nii.gz", cube(7))
    segmented.clear()
    done = run(bundle_path, scans, tmp_path / "out", "--json")
    assert segmented == ["c.nii.gz"]
    assert [case["skipped"] for case in json.loads(done.stdout)["cases"]] == [True, True, False]


def test_interrupted_it_goes_on_where_it_stopped(bundle_path, scans, tmp_path, segmented, monkeypatch, run):
    counting = Segmenter.reserve

    def interrupted(self, scan, *arguments, **options):
        if scan.name == "b.nii":
            raise KeyboardInterrupt
        return counting(self, scan, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Segmenter, "reserve", interrupted)
        run(bundle_path, scans, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.nii.gz", "segment.json"]
    run(bundle_path, scans, tmp_path / "out")
    assert segmented == ["a.nii.gz", "b.nii"]


def test_a_review_is_still_due_when_called_again(bundle_path, scans, tmp_path, segmented, cube, save, run):
    save(scans / "c.nii.gz", cube(0) + np.eye(20, dtype=np.int16))  # air that is not a single value
    assert run(bundle_path, scans, tmp_path / "out").exit_code == 6
    segmented.clear()
    done = run(bundle_path, scans, tmp_path / "out")
    assert done.exit_code == 6
    assert segmented == []
    assert "the result is empty" in done.stdout


@pytest.mark.parametrize("which", ["label map damaged", "label map gone", "scan changed, label map gone"])
def test_what_is_not_the_finished_file_any_more_is_made_again(
    bundle_path, scans, tmp_path, segmented, which, cube, save, run, fat
):
    run(bundle_path, scans, tmp_path / "out")
    if which == "label map damaged":
        content = bytearray((tmp_path / "out" / "a.nii.gz").read_bytes())
        content[-5] ^= 1
        (tmp_path / "out" / "a.nii.gz").write_bytes(content)
    else:
        (tmp_path / "out" / "a.nii.gz").unlink()
    if "scan changed" in which:
        save(scans / "a.nii.gz", cube(8))
    segmented.clear()
    run(bundle_path, scans, tmp_path / "out")
    assert segmented == ["a.nii.gz"]
    assert fat(tmp_path / "out" / "a.nii.gz") == (512 if "scan changed" in which else 1000)


@pytest.mark.parametrize("which", ["corrected", "drawn for a new scan", "scan changed", "same name elsewhere"])
def test_no_label_map_that_is_another_scans_or_a_persons_is_replaced(
    bundle_path, scans, tmp_path, segmented, which, cube, save, run, fat
):
    """A folder run again: after a correction by hand, with a scan more, or with another folder of scans."""
    out, name, reason = tmp_path / "out", "a.nii.gz", "made from another scan"
    run(bundle_path, scans, out)
    if which == "corrected":
        save(out / name, np.ones((20, 20, 20), np.uint8))
        reason = "changed since it was made"
    elif which == "drawn for a new scan":
        name, reason = "c.nii.gz", "not made by bedside"
        save(scans / name, cube(7))
        save(out / name, np.ones((20, 20, 20), np.uint8))
    elif which == "scan changed":
        save(scans / name, cube(8))
    else:
        (tmp_path / "patients" / "a").mkdir(parents=True)
        save(tmp_path / "patients" / "a" / "ct.nii.gz", cube(8))
        scans = tmp_path / "patients"
    before = (out / name).read_bytes()
    segmented.clear()
    with pytest.raises(UsageError, match=rf'"out": .* would replace {name} \({reason}\); .* \(--force\)'):
        run(bundle_path, scans, out)
    assert ((out / name).read_bytes(), segmented) == (before, [])
    assert run(bundle_path, scans, out, "--force").exit_code == 0
    assert (out / name).read_bytes() != before


def test_what_an_interrupted_run_wrote_before_its_journal_is_made_again(
    bundle_path, scans, tmp_path, segmented, monkeypatch, run, fat
):
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "with_outcome", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        run(bundle_path, scans, tmp_path / "out")
    assert fat(tmp_path / "out" / "a.nii.gz") == 1000
    segmented.clear()
    assert run(bundle_path, scans, tmp_path / "out").exit_code == 0
    assert segmented == ["a.nii.gz", "b.nii"]


def test_force_makes_all_anew(bundle_path, scans, tmp_path, segmented, run):
    run(bundle_path, scans, tmp_path / "out")
    segmented.clear()
    run(bundle_path, scans, tmp_path / "out", "--force")
    assert segmented == ["a.nii.gz", "b.nii"]


def chosen_before(folder, **chosen):
    """Changes what `auto` chose for the first label map of a folder."""
    journal = json.loads((folder / "segment.json").read_text())
    journal["cases"]["a.nii.gz"].update(chosen)
    (folder / "segment.json").write_text(json.dumps(journal))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_auto_chose_for_the_first_label_map_holds_for_the_rest(
    bundle_path, scans, tmp_path, precision, cube, save, run
):
    run(bundle_path, scans, tmp_path / "out")
    chosen_before(tmp_path / "out", precision=precision)
    save(scans / "c.nii.gz", cube(7))
    run(bundle_path, scans, tmp_path / "out")
    cases = json.loads((tmp_path / "out" / "segment.json").read_text())["cases"]
    assert cases["c.nii.gz"]["precision"] == precision


def test_label_maps_of_several_precisions_are_counted_in_a_warning(bundle_path, scans, tmp_path, run):
    run(bundle_path, scans, tmp_path / "out", "--precision", "fp32")
    chosen_before(tmp_path / "out", precision="int8")
    done = run(bundle_path, scans, tmp_path / "out", "--precision", "fp32")
    assert "not of one kind: 1 by onnxruntime fp32, 1 by onnxruntime int8; name --engine" in " ".join(
        done.stderr.split()
    )


def test_names_in_another_case_are_the_same_options(bundle_path, scans, tmp_path, segmented, run):
    out = tmp_path / "out"
    run(bundle_path, scans, out, "--precision", "FP32", "--device", "cpu")
    options = json.loads((out / "segment.json").read_bytes())["setup"]["options"]
    assert (options["engine"], options["precision"], options["device"]) == ("onnxruntime", "fp32", "CPU")
    segmented.clear()
    run(bundle_path, scans, out, "--engine", "ONNXRuntime", "--precision", "fp32", "--device", "CPU")
    assert segmented == []


def test_the_rest_is_refused_where_the_device_of_the_first_label_map_is_gone(
    bundle_path, scans, tmp_path, cube, save, run
):
    run(bundle_path, scans, tmp_path / "out")
    chosen_before(tmp_path / "out", device="NPU")  # none of ONNX Runtime's
    save(scans / "c.nii.gz", cube(7))
    with pytest.raises(UsageError, match=r'device: expected CPU.*, got "NPU"'):
        run(bundle_path, scans, tmp_path / "out")


def test_label_maps_of_several_devices_are_counted_in_a_warning(bundle_path, scans, tmp_path, run):
    run(bundle_path, scans, tmp_path / "out", "--precision", "fp32", "--device", "CPU")
    chosen_before(tmp_path / "out", device="CUDA")
    done = run(bundle_path, scans, tmp_path / "out", "--precision", "fp32", "--device", "CPU")
    assert "not of one kind: 1 by onnxruntime fp32, 1 by onnxruntime fp32 on CUDA; name" in " ".join(
        done.stderr.split()
    )


def test_a_journal_that_tells_no_device_as_earlier_versions_wrote_it_is_gone_on_with(
    bundle_path, scans, tmp_path, segmented, cube, save, run
):
    run(bundle_path, scans, tmp_path / "out")
    journal = json.loads((tmp_path / "out" / "segment.json").read_text())
    for case in journal["cases"].values():
        assert case.pop("device") == "CPU"
    (tmp_path / "out" / "segment.json").write_text(json.dumps(journal))
    save(scans / "c.nii.gz", cube(7))
    segmented.clear()
    done = run(bundle_path, scans, tmp_path / "out")
    assert (segmented, "not of one kind" in done.stderr) == (["c.nii.gz"], False)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--precision", "int8"], r"\(with --precision auto\)"),
        (["--overlap", "0.5"], r"\(without --overlap\)"),
        (["--largest-component", "all"], r"\(with other post-processing\)"),
        (["--use-qform"], r"\(without --use-sform and --use-qform\)"),
        (["--no-skip-air"], r"\(without --no-skip-air\)"),
    ],
)
def test_label_maps_made_otherwise_are_not_mixed(bundle_path, scans, tmp_path, words, told, run):
    run(bundle_path, scans, tmp_path / "out")
    with pytest.raises(UsageError, match=told):
        run(bundle_path, scans, tmp_path / "out", *words)


def test_a_run_that_wrote_no_label_map_does_not_bind_the_next(bundle_path, scans, tmp_path, run, fat):
    kept = {path: path.read_bytes() for path in scans.iterdir()}
    for path in kept:
        path.write_bytes(b"no scan")
    assert run(bundle_path, scans, tmp_path / "out").exit_code == 3
    for path, content in kept.items():
        path.write_bytes(content)
    assert run(bundle_path, scans, tmp_path / "out", "--overlap", "0.25").exit_code == 0
    assert fat(tmp_path / "out" / "a.nii.gz") > 0
    with pytest.raises(UsageError, match=r"holds label maps made otherwise \(with --overlap 0\.25\)"):
        run(bundle_path, scans, tmp_path / "out")


@pytest.mark.parametrize("content", ["{", '{"x": ' + "[" * 100_000])
def test_a_journal_that_is_none_is_refused_unless_all_is_made_anew(bundle_path, scans, tmp_path, content, run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "segment.json").write_text(content)
    with pytest.raises(InputError, match=r"segment\.json in the output folder cannot be read .*; --force begins anew"):
        run(bundle_path, scans, tmp_path / "out")
    assert run(bundle_path, scans, tmp_path / "out", "--force").exit_code == 0


def test_the_same_post_processing_is_recognised(bundle_path, scans, tmp_path, segmented, run):
    words = ("--largest-component", "fat", "--min-volume", "bone=2")
    run(bundle_path, scans, tmp_path / "out", *words)
    segmented.clear()
    run(bundle_path, scans, tmp_path / "out", *words)
    assert segmented == []


def test_another_bundle_is_not_mixed_in(toy, task, bundle_path, scans, tmp_path, run):
    run(bundle_path, scans, tmp_path / "out")
    other = toy.write_bundle(tmp_path / "other.bedside", task.replaced(anatomy="other"))
    with pytest.raises(UsageError, match="another bundle"):
        run(other, scans, tmp_path / "out")


def test_files_of_somebody_else_are_not_replaced(bundle_path, scans, tmp_path, run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.nii.gz").write_bytes(b"truth drawn by hand")
    with pytest.raises(UsageError, match=r"1 files named like label maps to come are there, but no segment\.json"):
        run(bundle_path, scans, tmp_path / "out")
    assert (tmp_path / "out" / "a.nii.gz").read_bytes() == b"truth drawn by hand"
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "a.nii.gz"]


def test_a_failure_says_that_an_older_label_map_is_there(bundle_path, scans, tmp_path, run):
    run(bundle_path, scans, tmp_path / "out")
    (scans / "b.nii").write_bytes(b"no scan")
    done = run(bundle_path, scans, tmp_path / "out", "--force", "--json")
    assert json.loads(done.stdout)["cases"][1]["error"].endswith("; an older label map is still there")


def test_a_second_run_into_a_folder_at_the_same_time_is_refused(bundle_path, scans, tmp_path, monkeypatch, run):
    real, refused = Segmenter.reserve, []

    def called_meanwhile(self, scan, *arguments, **options):
        if not refused:
            with pytest.raises(ResourceError, match=rf'writes label maps in "out" \(process {os.getpid()} on') as error:
                run(bundle_path, scans, tmp_path / "out")
            refused.append(error.value)
        return real(self, scan, *arguments, **options)

    monkeypatch.setattr(Segmenter, "reserve", called_meanwhile)
    assert run(bundle_path, scans, tmp_path / "out").exit_code == 0
    assert refused
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.nii.gz", "b.nii.gz", "segment.json"]


def test_a_journal_that_cannot_be_read_is_refused(bundle_path, scans, tmp_path, run):
    run(bundle_path, scans, tmp_path / "out")
    (tmp_path / "out" / "segment.json").write_text("{")
    with pytest.raises(InputError, match="--force begins anew"):
        run(bundle_path, scans, tmp_path / "out")
    assert run(bundle_path, scans, tmp_path / "out", "--force").exit_code == 0


def test_a_name_that_is_no_utf_8_is_segmented_recorded_and_known_again(
    bundle_path, scans, tmp_path, segmented, cube, save, run, fat
):
    save(scans / os.fsdecode(b"\xfc.nii.gz"), cube(4))  # as latin-1 systems write it
    assert run(bundle_path, scans, tmp_path / "out").exit_code == 0
    assert fat(tmp_path / "out" / os.fsdecode(b"\xfc.nii.gz")) == 64
    assert list(json.loads((tmp_path / "out" / "segment.json").read_text())["cases"]) == [
        r"\xfc.nii.gz", "a.nii.gz", "b.nii",
    ]  # fmt: skip
    del segmented[:]
    assert run(bundle_path, scans, tmp_path / "out").exit_code == 0
    assert segmented == []
