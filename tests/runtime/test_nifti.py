from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import ExitCode, InputError, ResourceError, UsageError
from bedside.runtime.geometry import Grid
from bedside.runtime.nifti import read_labels, read_volume, write_volume

GRID = Grid((6, 5, 4), np.array([[-0.7, 0, 0, 90], [0, -0.8, 0, 120], [0, 0, 2.5, -40], [0, 0, 0, 1.0]]))
HU = np.random.default_rng(7).integers(-1024, 1500, GRID.shape).astype(np.int16)


def saved(folder: Path, data: np.ndarray = HU, name: str = "ct.nii.gz", **fields) -> Path:
    """Writes a file with nibabel, then sets header fields as they are given, however wrong."""
    image = nib.Nifti1Image(data, GRID.affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, folder / "clean.nii")
    raw = bytearray((folder / "clean.nii").read_bytes())
    (folder / "clean.nii").unlink()
    header = nib.Nifti1Header(bytes(raw[:348]), check=False)
    for field, value in fields.items():
        header[field] = value
    raw[:348] = header.binaryblock
    path = folder / name
    path.write_bytes(gzip.compress(bytes(raw)) if name.endswith(".gz") else bytes(raw))
    return path


def refused(path: Path, *words: str, **options) -> str:
    """Returns the message, which is one line, without the folder."""
    with pytest.raises(InputError) as caught:
        read_volume(path, **options)
    message = str(caught.value)
    assert caught.value.exit_code == ExitCode.INPUT == 3
    assert "\n" not in message
    assert str(path.parent) not in message
    for word in words:
        assert word in message
    return message


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_reads_the_values_and_the_grid_nibabel_wrote(tmp_path, name):
    volume = read_volume(saved(tmp_path, name=name))
    assert volume.data.dtype == np.int16
    assert (volume.data == HU).all()
    assert volume.grid.shape == (6, 5, 4)
    assert volume.grid.affine == pytest.approx(GRID.affine, abs=1e-5)
    assert volume.warnings == ()


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">i2", ">f4"])
def test_reads_every_real_type_in_either_byte_order(tmp_path, dtype):
    values = np.arange(120, dtype=dtype).reshape(GRID.shape)
    header = nib.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
    header.set_data_dtype(dtype)
    nib.save(nib.Nifti1Image(values, GRID.affine, header, dtype=dtype), tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert volume.data.dtype.isnative
    assert volume.data.dtype == ("f4" if "f" in dtype else dtype.strip(">"))
    assert (volume.data == np.arange(120).reshape(GRID.shape)).all()


def test_reads_nifti_2(tmp_path):
    nib.save(nib.Nifti2Image(HU, GRID.affine), tmp_path / "a.nii.gz")
    assert (read_volume(tmp_path / "a.nii.gz").data == HU).all()


def test_applies_the_scaling(tmp_path):
    volume = read_volume(saved(tmp_path, HU, scl_slope=0.5, scl_inter=-10))
    assert volume.data.dtype == np.float32
    assert volume.data == pytest.approx(HU * 0.5 - 10)


def test_slope_zero_means_not_scaled(tmp_path):
    assert (read_volume(saved(tmp_path, scl_slope=0, scl_inter=7)).data == HU).all()


def test_steps_over_header_extensions(tmp_path):
    image = nib.Nifti1Image(HU, GRID.affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 500))
    nib.save(image, tmp_path / "a.nii.gz")
    assert (read_volume(tmp_path / "a.nii.gz").data == HU).all()


def test_reads_the_real_scan(real_data):
    volume = read_volume(real_data / "aorta_ct.nii.gz")
    assert volume.grid.shape == (120, 126, 164)
    assert volume.grid.axes == "LPS"
    assert (volume.data == np.asarray(nib.load(real_data / "aorta_ct.nii.gz").dataobj)).all()


def test_missing_file(tmp_path):
    refused(tmp_path / "none.nii.gz", "none.nii.gz", "not found")


def test_a_folder_and_a_pipe_do_not_hang(tmp_path):
    refused(tmp_path, "expected a file")
    os.mkfifo(tmp_path / "pipe.nii")
    refused(tmp_path / "pipe.nii", "expected a file")


def test_a_file_name_with_a_null_byte(tmp_path):
    refused(Path(f"{tmp_path}/a\0.nii"), "cannot be read")


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", b"DICM" * 200, bytes(400), gzip.compress(b"text"), b"\7" * 999])
def test_not_a_nifti(tmp_path, content):
    (tmp_path / "a.nii.gz").write_bytes(content)
    refused(tmp_path / "a.nii.gz", "a.nii.gz")


def test_an_analyze_pair_is_named(tmp_path):
    refused(saved(tmp_path, magic=b"ni1"), "pair")


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_every_truncation_is_refused(tmp_path, name):
    path = saved(tmp_path, name=name)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused(path, name)


def test_a_flipped_bit_is_refused_wherever_it_could_matter(tmp_path):
    path = saved(tmp_path)
    whole = path.read_bytes()
    harmless = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            volume = read_volume(path)
        except InputError:
            continue
        assert (volume.data == HU).all()
        harmless += 1
    # gzip's date (4 bytes), level and system, and the bits that fill up the last byte carry nothing.
    assert harmless <= 7


def test_a_wrong_checksum_is_named(tmp_path):
    path = saved(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[-5] ^= 1
    path.write_bytes(damaged)
    refused(path, "gzip", "check")


def test_several_gzip_members_and_zero_padding_are_one_stream(tmp_path):
    path = saved(tmp_path)
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:400]) + gzip.compress(raw[400:]) + bytes(100))
    assert (read_volume(path).data == HU).all()
    path.write_bytes(gzip.compress(raw) + b"junk")
    refused(path, "unknown bytes")


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_a_file_with_more_bytes_than_its_header_says(tmp_path, name):
    refused(saved(tmp_path, name=name, dim=[3, 5, 5, 4, 1, 1, 1, 1]), "more")


def test_four_dimensions_need_a_choice(tmp_path):
    series = np.stack([HU, HU + 1, HU + 2], axis=3)
    path = saved(tmp_path, series)
    refused(path, "got 3", "--volume")
    for index in range(3):
        assert (read_volume(path, volume=index).data == HU + index).all()
    refused(path, "0 to 2", volume=3)
    refused(path, "0 to 2", volume=-1)


def test_a_fourth_dimension_of_one_is_no_choice(tmp_path):
    assert read_volume(saved(tmp_path, HU[..., None])).data.shape == GRID.shape


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(tmp_path, value):
    data = HU.astype(np.float32)
    data[1, 2, 3] = data[0, 0, 0] = value
    path = saved(tmp_path, data)
    refused(path, "got 2 voxels", "--replace-nan")
    volume = read_volume(path, replace_nan=-1024)
    assert volume.data[1, 2, 3] == volume.data[0, 0, 0] == -1024
    assert volume.warnings == ("2 voxels that were NaN or Inf replaced by -1024",)
    with pytest.raises(UsageError):
        read_volume(path, replace_nan=np.inf)


def test_values_beyond_float32_are_not_finite(tmp_path):
    refused(saved(tmp_path, np.full(GRID.shape, 1e300)), "120 voxels")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"pixdim": [1, 0, 1, 1, 0, 0, 0, 0]}, "spacing"),
        ({"pixdim": [1, -1, 1, 1, 0, 0, 0, 0]}, "spacing"),
        ({"pixdim": [1, np.nan, 1, 1, 0, 0, 0, 0]}, "spacing"),
        ({"srow_x": [0, 0, 0, 0]}, "spacing"),
        ({"srow_x": [np.nan, 0, 0, 0]}, "finite"),
        ({"srow_x": [-0.7, 0.8, 0, 0], "srow_y": [0, 0, 0, 0]}, "singular"),
        ({"srow_z": [0, 0, 2.5, np.inf]}, "finite"),
        ({"sform_code": 0}, "left and right"),
        ({"sform_code": 77}, "codes"),
        ({"qform_code": -1}, "codes"),
        ({"xyzt_units": 1}, "millimetres"),
        ({"dim": [3, 0, 5, 4, 1, 1, 1, 1]}, "dimensions"),
        ({"dim": [3, -6, 5, 4, 1, 1, 1, 1]}, "dimensions"),
        ({"dim": [0, 6, 5, 4, 1, 1, 1, 1]}, "dimensions"),
        ({"dim": [2, 6, 20, 1, 1, 1, 1, 1]}, "2D"),
        ({"dim": [9, 6, 5, 4, 1, 1, 1, 1]}, "ct.nii.gz"),
        ({"datatype": 32}, "complex"),
        ({"datatype": 128}, "RGB"),
        ({"datatype": 1}, "voxel"),
        ({"datatype": 9999}, "9999"),
        ({"datatype": 8}, "bits"),
        ({"bitpix": 8}, "bits"),
        ({"vox_offset": 100}, "start"),
        ({"vox_offset": np.nan}, "start"),
        ({"vox_offset": 352.5}, "start"),
        ({"vox_offset": 1e30}, "start"),
        ({"scl_slope": np.inf}, "scaling"),
        ({"scl_slope": 1, "scl_inter": np.nan}, "scaling"),
    ],
)
def test_a_header_that_cannot_be_true(tmp_path, fields, word):
    refused(saved(tmp_path, **fields), word)


def test_sform_and_qform_that_disagree_are_both_named(tmp_path):
    image = nib.Nifti1Image(HU, GRID.affine)
    mirrored = GRID.affine.copy()
    mirrored[0] *= -1
    image.set_sform(GRID.affine, code=1)
    image.set_qform(mirrored, code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    refused(tmp_path / "a.nii.gz", "sform", "qform", "--use-sform")
    assert read_volume(tmp_path / "a.nii.gz", prefer="sform").grid.axes == "LPS"
    assert read_volume(tmp_path / "a.nii.gz", prefer="qform").grid.axes == "RPS"


@pytest.mark.parametrize(("shift", "accepted"), [(0.3, True), (0.4, False)])
def test_half_a_voxel_is_where_disagreement_begins(tmp_path, shift, accepted):
    image = nib.Nifti1Image(HU, GRID.affine)
    shifted = GRID.affine.copy()
    shifted[0, 3] += shift  # a voxel is 0.7 mm
    image.set_sform(GRID.affine, code=1)
    image.set_qform(shifted, code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    if accepted:
        assert read_volume(tmp_path / "a.nii.gz").grid.affine == pytest.approx(GRID.affine, abs=1e-5)
    else:
        refused(tmp_path / "a.nii.gz", "sform", "qform")


def test_a_stale_pixdim_is_refused_and_the_sform_can_be_chosen(tmp_path):
    path = saved(tmp_path, pixdim=[1, 1, 1, 1, 0, 0, 0, 0])
    refused(path, "sform", "pixdim")
    assert read_volume(path, prefer="sform").grid.spacing == pytest.approx(GRID.spacing)
    refused(path, "has only sform", prefer="qform")


def test_a_broken_quaternion_is_refused(tmp_path):
    path = saved(tmp_path, qform_code=1, quatern_b=5, sform_code=0)
    refused(path, "rotation")


def test_a_qform_alone_is_enough(tmp_path):
    image = nib.Nifti1Image(HU, None)
    image.set_qform(GRID.affine, code=1)
    nib.save(image, tmp_path / "a.nii.gz")
    assert read_volume(tmp_path / "a.nii.gz").grid.affine == pytest.approx(GRID.affine, abs=1e-4)


LYING = """
import resource, sys, time
from bedside.runtime.errors import BedsideError
from bedside.runtime.nifti import read_volume
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
begun = time.perf_counter()
try:
    read_volume(sys.argv[1])
except BedsideError as error:
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024
    print(int(error.exit_code), grown < 200, time.perf_counter() - begun < 1)
"""


def run_limited(path: Path) -> str:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each BLAS thread takes address space
    command = [sys.executable, "-c", LYING, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return done.stdout.strip()


def test_a_small_file_that_claims_two_gigabytes(tmp_path):
    assert run_limited(saved(tmp_path, dim=[3, 1024, 1024, 1000, 1, 1, 1, 1])) == "3 True True"


def test_a_small_file_that_claims_more_than_any_scan(tmp_path):
    refused(saved(tmp_path, dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "at most 4 GiB")


def test_a_gzip_bomb_is_left_after_the_bytes_the_header_promised(tmp_path):
    path = saved(tmp_path)
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw) + gzip.compress(bytes(10**8)) * 100)  # 10 GB of zeros behind the scan
    assert run_limited(path) == "3 True True"


def test_a_bomb_whose_header_tells_the_truth_is_a_matter_of_memory(tmp_path):
    header = nib.Nifti1Header(bytes(gzip.decompress(saved(tmp_path).read_bytes())[:348]))
    header["dim"][:4] = [3, 1000, 1000, 1000]
    zeros = bytes(10**8)
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4)) + gzip.compress(zeros) * 20)
    assert run_limited(path) == "5 True True"


@pytest.mark.filterwarnings("error")
def test_a_mutated_header_is_refused_or_valid(tmp_path):
    path = saved(tmp_path)
    whole = gzip.decompress(path.read_bytes())
    generator = np.random.default_rng(11)
    for _ in range(300):
        damaged = bytearray(whole)
        for position in generator.integers(0, 348, 3):
            damaged[position] = generator.integers(0, 256)
        path.write_bytes(gzip.compress(damaged, 1))
        try:
            volume = read_volume(path)
        except InputError:
            continue
        assert np.isfinite(volume.grid.affine).all()
        assert np.isfinite(volume.data).all()


@pytest.mark.filterwarnings("error")
def test_a_signalling_nan_in_the_header_is_refused_without_a_warning(tmp_path):
    path = saved(tmp_path, name="ct.nii")
    raw = bytearray(path.read_bytes())
    raw[280:284] = b"\x01\x00\xa0\x7f"  # srow_x[0]
    path.write_bytes(raw)
    refused(path, "finite")


def test_labels_are_read_as_the_smallest_unsigned_type(tmp_path):
    labels = np.arange(120).reshape(GRID.shape)
    assert read_labels(saved(tmp_path, labels.astype(np.int32))).data.dtype == np.uint8
    assert read_labels(saved(tmp_path, labels.astype(np.float64))).data.dtype == np.uint8
    large = read_labels(saved(tmp_path, (labels * 500).astype(np.int32)))
    assert large.data.dtype == np.uint16
    assert (large.data == labels * 500).all()


@pytest.mark.parametrize("values", [np.full(GRID.shape, 0.5), HU, np.full(GRID.shape, 70_000, np.int32)])
def test_what_is_no_label_map_is_refused(tmp_path, values):
    with pytest.raises(InputError, match="integer labels"):
        read_labels(saved(tmp_path, values))


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4", "?"])
def test_what_is_written_reads_back_with_nibabel(tmp_path, name, order, dtype):
    data = np.asarray(HU % 200, dtype, order=order)
    write_volume(tmp_path / name, data, GRID)
    image = nib.load(tmp_path / name)
    assert (np.asarray(image.dataobj) == data).all()
    assert image.get_data_dtype() == (np.uint8 if dtype == "?" else dtype)
    for form, code in (image.get_sform(coded=True), image.get_qform(coded=True)):
        assert form == pytest.approx(GRID.affine, abs=1e-4)
        assert code == 1
    assert image.header.get_xyzt_units()[0] == "mm"
    assert bytes(image.header["descrip"].tobytes()).strip(b"\0") == b""
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_the_same_labels_give_the_same_bytes(tmp_path):
    labels = (HU > 0).astype(np.uint8)
    write_volume(tmp_path / "a.nii.gz", labels, GRID)
    first = (tmp_path / "a.nii.gz").read_bytes()
    time.sleep(1.1)  # gzip's date has whole seconds
    write_volume(tmp_path / "a.nii.gz", labels, GRID)
    assert (tmp_path / "a.nii.gz").read_bytes() == first


def test_an_oblique_grid_survives_writing(tmp_path):
    affine = np.eye(4)
    affine[:2, :2] = np.array([[0.8, -0.6], [0.6, 0.8]]) * 1.3
    grid = Grid(GRID.shape, affine)
    write_volume(tmp_path / "a.nii.gz", HU, grid)
    assert read_volume(tmp_path / "a.nii.gz").grid.affine == pytest.approx(affine, abs=1e-6)


def test_a_sheared_grid_is_written_without_qform(tmp_path):
    affine = np.diag([1.0, 1, 3, 1])
    affine[1, 2] = 0.5
    write_volume(tmp_path / "a.nii.gz", HU, Grid(GRID.shape, affine))
    assert nib.load(tmp_path / "a.nii.gz").get_qform(coded=True)[1] == 0
    assert read_volume(tmp_path / "a.nii.gz").grid.affine == pytest.approx(affine)


@pytest.mark.parametrize("name", ["out.png", "out.nii.zip", "out", ".nii.gz", "out.nii.gz.txt"])
def test_another_file_ending_is_a_usage_error(tmp_path, name):
    with pytest.raises(UsageError, match=r"\.nii or \.nii\.gz"):
        write_volume(tmp_path / name, HU, GRID)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_a_resource_error(tmp_path):
    with pytest.raises(ResourceError, match=r"out\.nii\.gz") as caught:
        write_volume(tmp_path / "none" / "out.nii.gz", HU, GRID)
    assert caught.value.exit_code == 5


def test_a_full_disk_leaves_the_old_file(tmp_path):
    write_volume(tmp_path / "a.nii", HU, GRID)
    old = (tmp_path / "a.nii").read_bytes()
    noise = np.random.default_rng(0).integers(0, 9999, (64, 64, 64)).astype(np.int16)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))  # writing further fails with "File too large"
    try:
        with pytest.raises(ResourceError, match="too large"):
            write_volume(tmp_path / "a.nii", noise, Grid(noise.shape, np.eye(4)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (tmp_path / "a.nii").read_bytes() == old
    assert list(tmp_path.iterdir()) == [tmp_path / "a.nii"]


def test_a_file_that_does_not_read_back_never_reaches_its_name(tmp_path, monkeypatch):
    write_volume(tmp_path / "a.nii.gz", HU, GRID)
    old = (tmp_path / "a.nii.gz").read_bytes()
    real_write = gzip.GzipFile.write
    # A disk that returns another bit than it was given.
    monkeypatch.setattr(gzip.GzipFile, "write", lambda file, data: real_write(file, bytes(data)[:-1] + b"\7"))
    with pytest.raises(ResourceError, match="back"):
        write_volume(tmp_path / "a.nii.gz", np.zeros(GRID.shape, np.uint8), GRID)
    assert (tmp_path / "a.nii.gz").read_bytes() == old
    assert list(tmp_path.iterdir()) == [tmp_path / "a.nii.gz"]


def test_data_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(UsageError, match="shape"):
        write_volume(tmp_path / "a.nii", HU[:-1], GRID)
    with pytest.raises(UsageError, match="complex"):
        write_volume(tmp_path / "a.nii", HU.astype(np.complex64), GRID)
    with pytest.raises(UsageError, match="ASCII"):
        write_volume(tmp_path / "a.nii", HU, GRID, description="x" * 80)
