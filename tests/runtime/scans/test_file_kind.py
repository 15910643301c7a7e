"""Files and folders that are no scan are named by what they are, in the same words wherever they are given."""

import gzip
import io
import tarfile
import zipfile

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import Bundle, BundleError, InputError, Segmenter, read_labels, read_volume
from bedside.runtime.errors import without_segment_options
from bedside.runtime.scans.file_kind import contents_of, is_dicom_series

DICOM = bytes(128) + b"DICM" + bytes(500)
KINDS = {
    "empty": (b"", "got an empty file; copy or export it again"),
    "empty once unpacked": (gzip.compress(b""), "got an empty file"),
    "two bytes": (b"\x5c\x01", "got the first 2 bytes of a file; copy or export it again"),
    "zeros": (bytes(1000), "nothing but zeros"),
    "DICOM": (DICOM, "got a DICOM file; to segment its series, open it with bedside.dicom.open_series (Python)"),
    "packed DICOM": (gzip.compress(DICOM), "got a DICOM file"),
    "DICOM without preamble": (b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + bytes(500), "got a DICOM file"),
    "NRRD": (b"NRRD0004\ntype: short\n", "got an NRRD file; convert it to .nii.gz"),
    "MetaImage": (b"ObjectType = Image\nNDims = 3\n", "got a MetaImage header; convert it to .nii.gz"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(400), "got an HDF5 or MINC file; convert MINC with mnc2nii"),
    "MGH": (b"\0\0\0\x01\0\0\0\x06" + bytes(400), "got a FreeSurfer MGH file; convert it with mri_convert"),
    "JPEG": (b"\xff\xd8\xff\xe0" + bytes(400), "got a JPEG picture; give the scan itself"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(400), "got a PNG picture"),
    "NumPy": (b"\x93NUMPY\x01\0" + bytes(400), "got a NumPy array; give it to Segmenter.segment_array"),
    "web page": (b"\n<!DOCTYPE html><html>403</html>", "got a web page (HTML); the download of a scan failed"),
    "text": ("Zugriff verweigert — bitte anmelden\n".encode() * 99, "got a text file; give the scan itself"),
    "JSON": (b'{"Modality": "CT"}', "got a JSON text; give the scan itself"),
    "AppleDouble": (b"\0\x05\x16\x07" + bytes(160), "got notes of macOS on a file (AppleDouble); give the file itself"),
    "git-lfs": (b"version https://git-lfs\n", "git-lfs pointer, not the file itself; run git lfs pull"),
    "unknown": (b"\7" * 999, "got something else; convert it to NIfTI first"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("read", [read_volume, read_labels])
def test_a_file_that_is_no_nifti_is_named_with_what_to_do(tmp_path, kind, read):
    content, words = KINDS[kind]
    (tmp_path / "ct.nii.gz").write_bytes(content)
    with pytest.raises(InputError, match=r'^"ct\.nii\.gz": expected a NIfTI file \(\.nii, \.nii\.gz\), got ') as caught:
        read(tmp_path / "ct.nii.gz")
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["IM0001", "sub/IM0001"])
def test_a_folder_of_dicom_files_is_named(tmp_path, name):
    (tmp_path / "series" / "sub").mkdir(parents=True)
    (tmp_path / "series" / "notes.txt").write_text("hello")
    (tmp_path / "series" / name).write_bytes(DICOM)
    said = r'"series": expected a file, got a folder of DICOM files; .* bedside\.dicom\.open_series .* or .* dcm2niix'
    with pytest.raises(InputError, match=said):
        read_volume(tmp_path / "series")


def test_a_command_advises_no_call_of_python_for_a_folder_of_dicom_files(tmp_path):
    (tmp_path / "IM0001").write_bytes(DICOM)
    expected = "got a folder of DICOM files; convert its series with dcm2niix -z y -o OUT FOLDER and give the .nii.gz"
    assert contents_of(tmp_path) == expected
    with pytest.raises(InputError) as caught:
        read_volume(tmp_path)
    assert without_segment_options(str(caught.value)) == f'"{tmp_path.name}": expected a file, {expected}'


def test_dicom_files_behind_many_others_are_found(tmp_path):
    for number in range(120):
        (tmp_path / f"{number:03d}.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    assert not is_dicom_series(tmp_path)
    (tmp_path / "IM0001").write_bytes(DICOM)
    assert is_dicom_series(tmp_path)


def test_a_folder_of_other_files_is_a_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"expected a file, got a folder or device; give a \.nii"):
        read_volume(tmp_path)


def packed(bundle, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in bundle.iterdir():
            archive.write(file, file.name)
    return path


def test_a_bundle_given_as_scan_is_named(bundle_path, tmp_path):
    with Segmenter.load(bundle_path, "onnxruntime", threads=1, self_test=False) as segmenter:
        for bundle in (bundle_path, packed(bundle_path, tmp_path / "toy.zip")):
            with pytest.raises(InputError, match="got a bundle; give the bundle as the bundle, and a scan as the scan"):
                segmenter.segment(bundle)


def test_an_archive_given_as_scan_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as archive:
        archive.writestr("ct.nii", bytes(10))
    with pytest.raises(InputError, match="got a zip archive; unpack it"):
        read_volume(tmp_path / "ct.zip")
    with tarfile.open(tmp_path / "ct.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("ct.nii"), io.BytesIO())
    with pytest.raises(InputError, match="got a tar archive; unpack it"):
        read_volume(tmp_path / "ct.tar.gz")


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_a_scan_given_as_bundle_is_named(tmp_path, name):
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), tmp_path / name)
    with pytest.raises(
        BundleError, match=f'"{name}": expected a bundle, got a NIfTI file; give the folder or .zip that'
    ):
        Bundle.open(tmp_path / name)


def test_other_files_given_as_bundle_are_named(tmp_path):
    (tmp_path / "x.bedside").write_bytes(DICOM)
    with pytest.raises(BundleError, match="expected a bundle, got no zip but a DICOM file"):
        Bundle.open(tmp_path / "x.bedside")


def test_a_training_run_given_as_bundle_is_named(tmp_path):
    for name in ("config.toml", "metrics.csv"):
        (tmp_path / name).touch()
    with pytest.raises(
        BundleError, match=r"it has no bundle\.json; this is a training run, bedside export makes a bundle"
    ):
        Bundle.open(tmp_path)


def test_a_scan_that_may_not_be_read_is_refused_as_input(bundle_path, tmp_path, monkeypatch):
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), tmp_path / "ct.nii")

    def closed(*_, **__):
        raise PermissionError(13, "Permission denied")

    with Segmenter.load(bundle_path, "onnxruntime", threads=1, self_test=False) as segmenter:
        monkeypatch.setattr("pathlib.Path.open", closed)
        with pytest.raises(InputError, match=r'"ct\.nii": cannot be read \(Permission denied\)'):
            segmenter.segment(tmp_path / "ct.nii")
