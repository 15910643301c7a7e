"""A folder of scans: one table at the end, and the exit code of the worst case."""

import json

import pytest
from bedside.cli.segment.journal import Journal
from bedside.runtime import BundleError, InputError, Segmenter, UsageError


def test_every_scan_gets_a_label_map_of_its_name(bundle_path, scans, tmp_path, run, fat):
    (scans / ".hidden.nii").write_text("no scan")
    (scans / "notes.txt").write_text("no scan")
    (scans / "more").mkdir()
    done = run(bundle_path, scans, tmp_path / "new" / "out")
    assert done.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == [
        "a.nii.gz",
        "b.nii.gz",
        "segment.json",
    ]
    assert fat(tmp_path / "new" / "out" / "a.nii.gz") == 1000
    assert fat(tmp_path / "new" / "out" / "b.nii.gz") == 125
    assert "2 scans: 2 have a label map, 0 have none" in done.stdout


def test_the_bundle_is_loaded_once(bundle_path, scans, tmp_path, monkeypatch, run):
    loads = []
    real = Segmenter.open
    monkeypatch.setattr(Segmenter, "open", lambda *words: loads.append(1) or real(*words))
    run(bundle_path, scans, tmp_path / "out")
    assert len(loads) == 1


def test_json_is_one_object_with_a_list_of_cases(bundle_path, scans, tmp_path, run):
    (scans / "c.nii.gz").write_bytes(b"no scan")
    done = run(bundle_path, scans, tmp_path / "out", "--json")
    said = json.loads(done.stdout)
    assert [case["name"] for case in said["cases"]] == ["a.nii.gz", "b.nii", "c.nii.gz"]
    assert [case["exit_code"] for case in said["cases"]] == [0, 0, 3]
    assert said["cases"][0]["volumes_ml"] == {"fat": 27.0, "bone": 0.0}
    assert said["exit_code"] == done.exit_code == 3


def test_a_scan_that_is_refused_does_not_stop_the_others(bundle_path, scans, tmp_path, run, fat):
    (scans / "aa.nii.gz").write_bytes((scans / "a.nii.gz").read_bytes()[:-30])
    done = run(bundle_path, scans, tmp_path / "out")
    assert done.exit_code == 3
    assert "3 scans: 2 have a label map, 1 have none" in done.stdout
    assert fat(tmp_path / "out" / "b.nii.gz") == 125
    assert not (tmp_path / "out" / "aa.nii.gz").exists()


def test_a_broken_bundle_stops_all(bundle_path, scans, tmp_path, run):
    (bundle_path / "model.fp32.onnx").write_bytes(b"")
    with pytest.raises(BundleError):
        run(bundle_path, scans, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bundle_that_is_replaced_once_the_run_has_begun_stops_all(
    toy, task, bundle_path, scans, tmp_path, monkeypatch, run
):
    real = Journal.save

    def exported_anew(self, folder):
        real(self, folder)
        if not (tmp_path / "former.bedside").exists():
            bundle_path.rename(tmp_path / "former.bedside")
            toy.write_bundle(bundle_path, task.replaced(anatomy="other"))

    monkeypatch.setattr(Journal, "save", exported_anew)
    with pytest.raises(BundleError, match="was replaced since the run began"):
        run(bundle_path, scans, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["segment.json"]


@pytest.mark.parametrize(
    ("output", "words", "message"),
    [
        ("scans", [], "-i and -o are the same folder"),
        ("labels.nii.gz", [], "-o must be one too"),
        ("file", [], "-o must be one too"),
        ("labels.dcm", [], "-o must be one too"),
        ("out", ["--record", "r.json"], "segment.json"),
        ("out", ["--binary-seg"], "--binary-seg, --sr and --rtstruct go with one DICOM series"),
        ("toy.bedside/out", [], r'expected a place outside the bundle "toy\.bedside"'),
    ],
)
def test_wrong_calls_are_refused_before_anything_is_loaded(bundle_path, scans, tmp_path, output, words, message, run):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=message):
        run(tmp_path / "no.bedside", scans, tmp_path / output, *words)


def test_workers_are_refused_with_one_scan(bundle_path, scans, tmp_path, run):
    with pytest.raises(UsageError, match="--workers goes with a folder"):
        run(bundle_path, scans / "a.nii.gz", tmp_path / "a.nii.gz", "--workers", "2")


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({}, 0),
        ({"a.nii.gz": RuntimeError("a slip"), "b.nii": MemoryError()}, 1),
        ({"a.nii.gz": InputError("bad"), "b.nii": MemoryError()}, 5),
        ({"a.nii.gz": OSError(28, "No space left on device")}, 5),
        ({"a.nii.gz": InputError("bad")}, 3),
    ],
)
def test_the_exit_code_is_the_worst(bundle_path, scans, tmp_path, monkeypatch, faults, code, run):
    real = Segmenter.reserve

    def faulty(self, scan, *arguments, **options):
        if scan.name in faults:
            raise faults[scan.name]
        return real(self, scan, *arguments, **options)

    monkeypatch.setattr(Segmenter, "reserve", faulty)
    done = run(bundle_path, scans, tmp_path / "out", "-q")
    assert done.exit_code == code
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == len(faults)


def test_an_option_out_of_range_leaves_no_record_of_a_run(bundle_path, scans, tmp_path, run):
    with pytest.raises(UsageError, match=r"overlap: expected 0 ≤ overlap < 1, got 1\.5"):
        run(bundle_path, scans, tmp_path / "out", "--overlap", "1.5")
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_for_every_scan_stops_all(bundle_path, scans, tmp_path, segmented, run):
    with pytest.raises(UsageError, match='got "heart"'):
        run(bundle_path, scans, tmp_path / "out", "--largest-component", "heart")
    assert segmented == ["a.nii.gz"]
