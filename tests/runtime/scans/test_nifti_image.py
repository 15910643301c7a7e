"""A nibabel image given as a scan is held to what a file of it would be held to, and gives the same voxels."""

import gzip
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import Grid, InputError, ResourceError, Segmenter, UsageError, read_volume
from bedside.runtime.memory import memory_limit
from bedside.runtime.scans.byte_stream import ByteStream
from bedside.runtime.scans.nifti_image import ImageMemory
from bedside.runtime.scans.open_scan import open_scan


def same(image, path, **options):
    ours, theirs = open_scan(image, **options).load(), read_volume(path, **options)
    assert ours.grid == theirs.grid
    assert ours.data.dtype == theirs.data.dtype
    assert np.array_equal(ours.data, theirs.data)
    return ours


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
@pytest.mark.parametrize("fields", [{}, {"scl_slope": 0.3, "scl_inter": -7.7}])
def test_an_image_on_disk_gives_what_its_file_gives(tmp_path, nifti, name, fields):
    path = nifti.saved(tmp_path, name=name, **fields)
    same(nib.load(path), path)


def test_an_image_of_a_file_that_nibabel_alone_decompresses_is_taken(tmp_path, nifti):
    path = tmp_path / "ct.nii.bz2"
    nib.save(nib.Nifti1Image(nifti.HU, nifti.GRID.affine), path)
    image = nib.load(path)
    assert np.array_equal(open_scan(image).load().data, nifti.HU)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match='"scan": its voxels cannot be read'):
        open_scan(image)


def test_an_image_in_memory_gives_its_voxels_and_is_left_as_it_is(nifti):
    image = nib.Nifti1Image(nifti.HU, nifti.GRID.affine)
    before = image.header.binaryblock
    volume = open_scan(image).load()
    assert volume.grid.coincides(nifti.GRID)
    assert np.array_equal(volume.data, nifti.HU)
    assert image.header.binaryblock == before


def test_a_nifti_2_image_is_taken(nifti):
    assert open_scan(nib.Nifti2Image(nifti.HU, nifti.GRID.affine)).load().grid.coincides(nifti.GRID)


def test_one_volume_of_several_is_chosen(tmp_path, nifti):
    data = np.stack([nifti.HU, nifti.HU + 1, nifti.HU + 2], axis=3)
    path = nifti.saved(tmp_path, data)
    for image in (nib.load(path), nib.Nifti1Image(data, nifti.GRID.affine)):
        assert np.array_equal(same(image, path, volume=2).data, nifti.HU + 2)
        with pytest.raises(InputError, match='"scan": expected one 3D volume, got 3'):
            open_scan(image)
        with pytest.raises(InputError, match='"scan": expected a volume from 0 to 2, got 3'):
            open_scan(image, volume=3)


def test_an_image_without_geometry_is_refused(nifti):
    with pytest.raises(InputError, match="neither sform nor qform is set"):
        open_scan(nib.Nifti1Image(nifti.HU, None))


def test_forms_that_disagree_are_refused_until_one_is_preferred(nifti):
    image = nib.Nifti1Image(nifti.HU, nifti.GRID.affine)
    moved = nifti.GRID.affine.copy()
    moved[:3, 3] += 9
    image.set_qform(moved, code=1)
    with pytest.raises(InputError, match=r"sform .* and qform place"):
        open_scan(image)
    assert open_scan(image, prefer="qform").grid.coincides(Grid(nifti.GRID.shape, moved))


def test_an_affine_changed_since_loading_is_believed(tmp_path, nifti):
    image = nib.load(nifti.saved(tmp_path))
    image.affine[:3, 3] += 9
    moved = nifti.GRID.affine.copy()
    moved[:3, 3] += 9
    assert open_scan(image).grid.coincides(Grid(nifti.GRID.shape, moved))


def test_a_damaged_file_behind_an_image_is_refused_where_nibabel_reads_it(tmp_path, nifti):
    voxels = np.random.default_rng(1).integers(-1000, 1000, (20, 20, 20)).astype(np.int16)
    path = nifti.saved(tmp_path, voxels)
    damaged = bytearray(path.read_bytes())
    damaged[-6] ^= 1  # the checksum
    path.write_bytes(damaged)
    image = nib.load(path)
    assert np.array_equal(np.asarray(image.dataobj), voxels)
    with pytest.raises(InputError, match="damaged gzip data"):
        open_scan(image)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_a_file_with_more_behind_its_last_voxel_is_refused_as_it_is_by_its_path(tmp_path, nifti, name):
    path = nifti.saved(tmp_path, name=name)
    content = path.read_bytes()
    path.write_bytes(content + (gzip.compress(bytes(2000)) if name.endswith(".gz") else bytes(2000)))
    image = nib.load(path)
    image.header.set_data_dtype(np.float64)  # what it will be saved as says nothing of the file
    for scan in (path, image):
        with pytest.raises(InputError, match="the file holds more"):
            open_scan(scan).load()


def test_a_small_file_that_expands_to_gigabytes_is_left_after_its_last_voxel(tmp_path, nifti, monkeypatch):
    path = nifti.saved(tmp_path)
    path.write_bytes(path.read_bytes() + gzip.compress(bytes(10**8), compresslevel=9))
    image, read = nib.load(path), []
    real = ByteStream.skip
    monkeypatch.setattr(ByteStream, "skip", lambda stream, count: read.append(real(stream, count)) or read[-1])
    with pytest.raises(InputError, match="the file holds more"):
        open_scan(image)
    assert sum(read) < 10**6


def test_a_file_that_ends_too_early_or_is_gone_is_refused(tmp_path, nifti):
    path = nifti.saved(tmp_path, name="ct.nii")
    image = nib.load(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r'"ct\.nii": the header specifies .* bytes, the file holds fewer'):
        open_scan(image)
    path.unlink()
    with pytest.raises(InputError, match=r'"ct\.nii": file not found'):
        open_scan(image)


def test_an_image_larger_than_memory_is_refused_before_it_is_read(tmp_path, nifti, monkeypatch):
    image = nib.load(nifti.saved(tmp_path))
    monkeypatch.setattr(memory_limit, "free_memory", lambda: 100)
    with pytest.raises(ResourceError, match='"scan": needs'):
        open_scan(image)


def test_masked_values_and_nan_are_refused_as_elsewhere(nifti):
    values = nifti.HU.astype(np.float32)
    values[1, 2, 3] = np.nan
    with pytest.raises(InputError, match="expected finite values"):
        open_scan(nib.Nifti1Image(values, nifti.GRID.affine)).load()
    assert open_scan(nib.Nifti1Image(values, nifti.GRID.affine), replace_nan=0).load().data[1, 2, 3] == 0
    with pytest.raises(InputError, match=r"\.filled\(value\)"):
        open_scan(nib.Nifti1Image(np.ma.masked_invalid(values), nifti.GRID.affine))


def test_an_image_of_another_format_is_refused(nifti):
    with pytest.raises(UsageError, match="expected a path, a Volume or a nibabel NIfTI image, got a MGHImage"):
        open_scan(nib.MGHImage(nifti.HU.astype(np.float32), nifti.GRID.affine))


def test_segment_gives_the_labels_of_the_file(bundle_path, tmp_path):
    hu = np.random.default_rng(3).integers(-1000, 1000, (12, 10, 9)).astype(np.int16)
    path = tmp_path / "ct.nii.gz"
    nib.save(nib.Nifti1Image(hu, np.diag([3.0, 3.0, 3.0, 1.0])), path)
    raw = gzip.decompress(path.read_bytes())
    with Segmenter.load(bundle_path, "onnxruntime", threads=1, self_test=False) as segmenter:
        expected = segmenter.segment(path).labels
        for image in (nib.load(path), nib.Nifti1Image.from_bytes(raw)):
            assert np.array_equal(segmenter.segment(image).labels, expected)


@pytest.mark.parametrize(
    ("dtype", "fields", "held", "peak"),
    [
        (np.int16, {}, 2, 4),
        (np.int16, {"scl_slope": 1.0, "scl_inter": 0.5}, 4, 2 + 8 + 4),
        (np.int16, {"scl_slope": 0.3, "scl_inter": -7.7}, 4, 2 + 8 + 8),
        (np.float64, {}, 4, 16),
    ],
)
def test_the_memory_of_an_image_on_disk_is_known_before_it_is_read(tmp_path, nifti, dtype, fields, held, peak):
    image = nib.load(nifti.saved(tmp_path, nifti.HU.astype(dtype), **fields))
    memory, voxels = ImageMemory.of(image), nifti.HU.size
    assert (memory.held, memory.held + memory.reading) == (held * voxels, peak * voxels)
    assert open_scan(image).in_memory.data.nbytes == memory.held


@pytest.mark.parametrize("fields", [{"scl_slope": 1.0, "scl_inter": 0.5}, {"scl_slope": 0.3, "scl_inter": -7.7}])
def test_reading_a_scaled_image_takes_no_more_than_was_said(tmp_path, nifti, fields):
    voxels = np.random.default_rng(1).integers(0, 200, (80, 80, 80)).astype(np.int16)
    image = nib.load(nifti.saved(tmp_path, voxels, name="a.nii", **fields))
    memory = ImageMemory.of(image)
    tracemalloc.start()
    try:
        open_scan(image)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.8 * (memory.held + memory.reading) < taken < memory.held + memory.reading


def test_what_is_in_memory_or_no_image_takes_none(nifti):
    for scan in (nib.Nifti1Image(nifti.HU, nifti.GRID.affine), "ct.nii.gz", None):
        assert ImageMemory.of(scan) == ImageMemory()
