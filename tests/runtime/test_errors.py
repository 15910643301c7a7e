from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import BundleError, InputError, Segmenter, UsageError, read_volume
from bedside.runtime.errors import (
    Cancelled,
    Choice,
    ExitCode,
    FieldError,
    MissingExtraError,
    first_line,
    printable,
    without_segment_options,
)
from bedside.runtime.record import Outcome


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Größe 3×3: π", "Größe 3×3: π"),
        ("a\n b\tc \r\n d  e", "a b c d  e"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("\x1b[1;31mred\x1b[0m and \x1b[mplain", "red and plain"),
        ("caf\udce9", r"caf\udce9"),  # how Python names the byte E9 where it is no UTF-8
        ("\u202eabc\u2028", r"\u202eabc\u2028"),  # right to left, line separator
    ],
)
def test_what_cannot_be_printed_is_escaped(text, told):
    assert printable(text) == told


@pytest.mark.parametrize("name", ["a\nb.nii.gz", "\x1b[31mred.nii", b"caf\xe9.nii"])
def test_a_message_is_one_line_that_any_terminal_and_file_takes(tmp_path, name):
    path = tmp_path / (name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name)
    with pytest.raises(InputError) as caught:
        read_volume(path)
    message = str(caught.value)
    assert message.isprintable()
    message.encode("utf-8")


@pytest.mark.parametrize("name", ["DOE  JOHN.nii", "DOE\nJOHN.nii", "DOE\tJOHN.nii", "DOE JOHN.nii"])
def test_the_record_of_a_failure_does_not_name_the_scan(tmp_path, name):
    with pytest.raises(InputError) as caught:
        read_volume(tmp_path / name)
    for message in (str(caught.value), " ".join(str(caught.value).split())):
        told = Outcome.failed(tmp_path / name, message, 3).error
        assert told == "file not found; check the path"


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b", "loop"])
def test_a_path_that_cannot_be_is_no_bundle(tmp_path, path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    with pytest.raises(BundleError, match="no bundle at"):
        Segmenter.load(path)


@pytest.mark.parametrize("threads", [0, -1, -64])
def test_fewer_than_one_thread_is_refused(bundle_path, threads):
    with pytest.raises(UsageError, match=f"threads: expected a whole number from 1 to 1024, got {threads}"):
        Segmenter.load(bundle_path, threads=threads)


@pytest.fixture
def seg(bundle_path):
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as opened:
        yield opened


HU = np.arange(8.0 * 8 * 8).reshape(8, 8, 8)
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


@pytest.mark.parametrize(
    ("hu", "affine"),
    [
        ([[1, 2], [3]], AFFINE),
        (np.full((8, 8, 8), None), AFFINE),
        (HU.astype(str), AFFINE),
        (HU.astype(complex), AFFINE),
        (HU > 5, AFFINE),
        (HU[0], AFFINE),
        (HU[None], AFFINE),
        (HU[:0], AFFINE),
        (HU * 1e300, AFFINE),
        (HU * np.nan, AFFINE),
        (HU * 0, AFFINE),
        ((HU * 1e16).astype(np.uint64), AFFINE),
        (HU, "RAS"),
        (HU, [[1, 0], [0]]),
        (HU, AFFINE * 1j),
        (HU, np.eye(3)),
        (HU, AFFINE * np.nan),
        (HU, np.diag([1e200, 1, 1, 1])),
        (HU, np.diag([0, 1, 1, 1])),
        (HU, np.diag([1, 1, 1, 2])),
        (HU, np.ones((4, 4))),
        (HU, np.array([[1, 2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])),
        (HU, np.array([[1, 0, 0, 1e9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])),
    ],
)
@pytest.mark.filterwarnings("error")
def test_whatever_is_no_scan_is_an_input_error_and_warns_of_nothing(seg, hu, affine):
    with pytest.raises(InputError) as caught:
        seg.segment_array(hu, affine)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "u8", "i8", "f2", ">f4", "f8", "g"])
@pytest.mark.filterwarnings("error")
def test_every_kind_of_real_number_gives_the_same_labels(seg, dtype):
    hu = np.zeros((8, 9, 10))
    hu[2:6, 2:6, 2:6] = 100
    expected = seg.segment_array(hu, AFFINE).labels
    assert expected.any()
    assert np.array_equal(seg.segment_array(hu.astype(dtype), AFFINE).labels, expected)


@pytest.mark.parametrize("shape", [(1, 1, 2), (40, 1, 1), (1, 30, 30), (30, 30, 1)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1)], ids=["right-handed", "left-handed"])
def test_a_scan_one_voxel_thick_is_worked_through(seg, shape, signs):
    hu = np.full(shape, -1000.0)
    hu.flat[hu.size // 3 :] = 0
    hu.flat[hu.size // 2 :] = 1000
    result = seg.segment_array(hu, np.diag([*np.multiply(3.0, signs), 1.0]))
    assert np.array_equal(result.labels, np.searchsorted([-1000, 0, 1000], hu))


@pytest.mark.parametrize(
    "error", [InputError("a scan"), FieldError("a field"), Cancelled("stopped"), MissingExtraError("torch", "train")]
)
def test_an_error_survives_pickling_with_class_message_and_exit_code(error):
    error.exit_code = ExitCode.REVIEW
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.exit_code) == (type(error), str(error), ExitCode.REVIEW)


def test_an_input_error_survives_pickling_with_its_choices():
    error = InputError("two series", [Choice("series", "1", "the first"), Choice("series", "2", "the second")])
    assert pickle.loads(pickle.dumps(error)).choices == error.choices


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("Check 'x' failed at a.cpp", "Check 'x' failed at a.cpp"),
        ("\n  \n", "ValueError"),
        ("x" * 300, "x" * 200),
    ],
    ids=["only the check", "nothing", "long"],
)
def test_a_message_without_a_better_line_gives_what_it_has(message, line):
    assert first_line(ValueError(message)) == line


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("got 3; choose one (--volume N, from 0)", "got 3; store the one to use as a 3D file"),
        (
            "they differ; choose one (--use-sform, --use-qform)",
            "they differ; correct the header, or export the scan again",
        ),
        (
            "sform has no inverse; use the sform (--use-sform) or correct the header",
            "sform has no inverse; correct the header",
        ),
        ("repair the scan, or replace them (--replace-nan V)", "repair the scan"),
        ("free memory (--memory-limit)", "free memory"),
        ("copy the file again", "copy the file again"),
    ],
)
def test_no_message_advises_an_option_of_segment(message, expected):
    assert without_segment_options(message) == expected
