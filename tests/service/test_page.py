"""The page in a real Chromium, on a tablet of 1024 pixels: from a dropped scan to labels, and what may go wrong.

Most tests leave the viewer out, because WebGL on a CPU takes seconds for each scan.
"""

import gzip
import io
import zipfile

import nibabel as nib
import numpy as np
import pytest
from bedside.service import page_files
from bedside.service.page_files import has_viewer
from matplotlib.image import imread
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from ..dicom.written_series import other_series, write_series
from .running import API, running, scan_bytes

needs_viewer = pytest.mark.skipif(not has_viewer(), reason="the viewer was not fetched: make page")


@pytest.fixture(scope="module")
def two_bundles(toy, tmp_path_factory):
    """The toy bundle, and one that takes fat for bone a little later."""
    folder, task = tmp_path_factory.mktemp("bundles"), toy.task()
    first = toy.write_bundle(folder / "first.bedside", task)
    second = toy.write_bundle(folder / "second.bedside", task)
    return first, second


@pytest.fixture(scope="module")
def service(two_bundles, tmp_path_factory):
    """The service with a page without its viewer."""
    folder = tmp_path_factory.mktemp("page")
    for file in page_files.FOLDER.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bedside.service.app.FOLDER", folder)
        with running(*two_bundles) as client:
            patch.undo()  # other services of this file have the viewer
            yield client


@pytest.fixture
def page(browser, service):
    browser.open(str(service.base_url))
    return browser


def rows(page):
    return {row.text.split("\n")[0].split()[0]: row.text.split()[1:] for row in page.all("#organs tbody tr")}


def coloured_columns(page, least):
    """Columns of the pixels that are not grey, and the width of the picture."""
    picture = imread(io.BytesIO(page.find(".planes canvas").screenshot_as_png))[..., :3]
    return np.nonzero(np.ptp(picture, axis=-1) > least)[1], picture.shape[1]


def bone_pixels(page):
    """Columns of the pixels in the colour of the second label."""
    return coloured_columns(page, 0.3)


def crosshair_column(page):
    """The column that its upright line fills."""
    columns, width = coloured_columns(page, 0.2)
    inner = columns[(columns > 5) & (columns < width - 5)]  # without the frame of what has the focus
    return int(np.bincount(inner).argmax())


@needs_viewer
def test_from_upload_to_overlay(browser, two_bundles, tmp_path):
    """Of fat in a bone that lies in the patient's left half, which radiologists expect on the right."""
    hu = np.full((24, 24, 24), -1000, np.int16)
    hu[3:21, 3:21, 3:21] = 0
    hu[5:9, 9:15, 9:15] = 1000  # small x of RAS+
    nib.save(nib.Nifti1Image(hu, np.diag([3.0, 3, 3, 1])), tmp_path / "ct.nii.gz")
    with running(two_bundles[0]) as client:
        browser.log()  # what other pages logged
        browser.open(str(client.base_url))
        browser.give([tmp_path / "ct.nii.gz"])
        browser.wait_for_status("Done")
        assert rows(browser) == {"fat": [f"{5688 * 0.027:.0f}"], "bone": [f"{144 * 0.027:.2f}"]}
        with_labels = browser.coloured(".planes canvas")
        assert with_labels > 5000
        assert browser.coloured(".solid canvas") > 1000
        browser.all("#organs input")[0].click()  # bone alone
        browser.find("[data-view=axial]").send_keys(Keys.ENTER)
        columns, width = bone_pixels(browser)
        assert np.median(columns) > width / 2
        browser.find("#toggle-all").click()  # hides bone too
        assert browser.coloured(".planes canvas") < with_labels / 10  # the crosshair's pixels stay
        canvas = browser.find(".planes canvas")
        before = canvas.screenshot_as_png
        canvas.send_keys(Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.PAGE_UP)
        assert canvas.screenshot_as_png != before
        at = crosshair_column(browser)
        canvas.send_keys(*[Keys.ARROW_LEFT] * 3)
        moved = crosshair_column(browser)
        assert moved < at - 3
        canvas.send_keys(*[Keys.ARROW_RIGHT] * 3)
        assert crosshair_column(browser) == at
        button = browser.find("[data-view=solid]")
        button.send_keys(Keys.ENTER)
        assert button.get_attribute("aria-pressed") == "true"
        assert browser.coloured(".solid canvas") < 50
        assert browser.log() == []  # nothing was refused by the content policy, nothing asked of another machine


@needs_viewer
def test_of_a_file_with_several_volumes_the_viewer_shows_the_one_that_was_segmented(browser, two_bundles, tmp_path):
    fetched = "return performance.getEntriesByType('resource').map((each) => each.name)"
    scan = nib.Nifti1Image.from_bytes(scan_bytes((20, 20, 20)))
    both = np.stack([np.full(scan.shape, -1000, np.int16), np.asarray(scan.dataobj)], axis=3)
    nib.save(nib.Nifti1Image(both, scan.affine), tmp_path / "both.nii")
    nib.save(scan, tmp_path / "one.nii")
    with running(two_bundles[0]) as client:
        browser.open(str(client.base_url))
        browser.give([tmp_path / "one.nii"])
        browser.wait_for_status("Done")
        assert not any(name.endswith("/scan") for name in browser.driver.execute_script(fetched))
        browser.give([tmp_path / "both.nii"])
        browser.wait_for_status("This scan was refused")
        browser.all("#choices button")[1].click()
        browser.wait_for_status("Done")
        assert any(name.endswith("/scan") for name in browser.driver.execute_script(fetched))
        assert browser.coloured(".planes canvas") > 1000


@needs_viewer
def test_two_bundles_side_by_side(browser, two_bundles, tmp_path):
    (tmp_path / "ct.nii").write_bytes(scan_bytes((20, 20, 20)))
    with running(*two_bundles) as client:
        browser.open(str(client.base_url))
        Select(browser.find("#compare")).select_by_value("second")
        browser.give([tmp_path / "ct.nii"])
        browser.wait_for_status("Done")
        assert [name.text for name in browser.all(".viewer .name")] == ["first", "second"]
        assert rows(browser)["fat"] == ["110", "110", "0.0", "%"]
        assert len(browser.all("#downloads button")) == 4


def test_a_folder_of_dicom_files_is_packed_without_names(page, tmp_path, service):
    hu = np.full((10, 30, 30), -1000, np.int16)
    hu[2:-2, 4:-4, 4:-4] = 0
    files = write_series(tmp_path / "Doe_Jane", values=hu)
    page.give(files)
    page.wait_for_status("Done")
    assert "Segmentation (DICOM)" in page.text("downloads")


def test_packed_files_are_a_sound_zip(page):
    packed = page.driver.execute_async_script(
        """const done = arguments[0];
        import("./page/zip.js").then(async ({ zipFiles }) => {
          const blob = await zipFiles([new File(["abc"], "Doe"), new File([new Uint8Array(70000)], "Jane")]);
          done([...new Uint8Array(await blob.arrayBuffer())]);
        });"""
    )
    with zipfile.ZipFile(io.BytesIO(bytes(packed))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["00000.dcm", "00001.dcm"]
        assert [archive.read(name) for name in archive.namelist()] == [b"abc", bytes(70000)]


def test_cancel_ends_the_job_and_leaves_the_page_ready(page, scan, gate, service):
    page.give([scan])
    page.wait(lambda: page.text("status") == "first segments the scan")
    page.wait(lambda: "%" in page.text("bars"))
    page.find("#cancel").click()
    page.wait_for_status("Cancelled")
    page.wait(lambda: service.get("api/v1").json()["waiting"] == 0)
    assert page.find("#pick-file").is_enabled()
    assert not page.find("#work").is_displayed()
    gate.set()
    page.give([scan])
    page.wait_for_status("Done")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>not a scan</html>" * 50, "web page"),
        (gzip.compress(scan_bytes())[:-5], "Truncated"),
    ],
)
def test_a_refused_scan_is_explained_in_plain_words(page, tmp_path, content, words):
    (tmp_path / "ct.nii.gz").write_bytes(content)
    page.give([tmp_path / "ct.nii.gz"])
    page.wait_for_status("This scan was refused")
    assert words in page.text("message")
    assert "--" not in page.text("message")
    assert page.find("#message").get_attribute("role") == "alert"
    assert page.find("#pick-file").is_enabled()


def test_of_several_series_one_is_chosen_on_the_page(page, tmp_path):
    """The second one has missing slices, which are then offered to be interpolated."""
    hu = np.full((10, 30, 30), -1000, np.int16)
    write_series(tmp_path / "empty", values=hu, change=other_series("1.2.3.4.4"))
    hu[2:-2, 4:-4, 4:-4] = 0
    write_series(tmp_path / "full", values=hu, leave_out=[5])
    folder = tmp_path / "renamed"
    folder.mkdir()
    for number, file in enumerate(sorted(tmp_path.rglob("*.dcm"))):
        file.rename(folder / f"{number}.dcm")
    page.give(list(folder.iterdir()))
    page.wait_for_status("This scan was refused")
    assert page.find("#message p").text == "2 series are scans; choose one by its number or UID."
    first, second = page.all("#choices button")
    assert first.text == "Series 1: CT, 30×30×10 voxels of 0.9×0.7×2.5 mm"
    second.click()
    page.wait(lambda: "1 slice is missing" in page.text("message"))
    (interpolate,) = page.all("#choices button")
    assert interpolate.text == "Interpolate the missing slices"
    interpolate.click()
    page.wait_for_status("Done")
    assert float(rows(page)["fat"][0]) > 0
    assert "interpolated" in page.text("warnings")


def test_a_folder_without_a_scan_and_a_file_that_cannot_be_read_are_refused(page, tmp_path):
    (tmp_path / ".hidden").write_bytes(b"x")
    page.give([tmp_path / ".hidden"])
    page.wait_for_status("This scan was refused")
    assert page.text("message").endswith("There is no file in it.")
    page.driver.execute_script(
        """const entry = { isFile: true, file: (given, failed) => failed(new DOMException("gone", "NotFoundError")) };
        const dataTransfer = { items: [{ webkitGetAsEntry: () => entry }] };
        document.dispatchEvent(Object.assign(new Event("drop"), { dataTransfer }));"""
    )
    page.wait(lambda: "a file of it cannot be read" in page.text("message").lower())


def test_a_scan_that_is_too_large_is_not_even_sent(browser, toy_bundle, scan):
    with running(toy_bundle, upload_bytes=100) as client:
        browser.open(str(client.base_url))
        browser.give([scan])
        browser.wait_for_status("This scan was refused")
        assert "the service takes" in browser.text("message")
        assert client.get("api/v1").json()["waiting"] == 0


def test_a_result_to_review_says_so(page, tmp_path):
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[0] = -990
    nib.save(nib.Nifti1Image(hu, np.diag([3.0, 3, 3, 1])), tmp_path / "air.nii.gz")
    page.give([tmp_path / "air.nii.gz"])
    page.wait_for_status("Done")
    assert "Please look at this result" in page.text("warnings")
    assert "empty" in page.text("warnings")


def test_two_tabs_do_not_disturb_each_other(page, scan, service, tmp_path):
    small = tmp_path / "small.nii"
    small.write_bytes(scan_bytes((20, 20, 20)))
    driver, first = page.driver, page.driver.current_window_handle
    page.give([scan])
    driver.switch_to.new_window("tab")
    page.open(str(service.base_url))
    page.give([small])
    page.wait_for_status("Done")
    assert rows(page)["fat"] == ["110"]
    driver.close()
    driver.switch_to.window(first)
    page.wait_for_status("Done")
    assert rows(page)["fat"] == ["1259"]
    page.wait(lambda: service.get("api/v1").json()["waiting"] == 0)


def test_a_closed_page_takes_its_files_along(page, scan, service, tmp_path):
    page.give([scan])
    page.wait_for_status("Done")
    driver = page.driver
    job = driver.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)")
    (own,) = {name.split("/jobs/")[1].split("/")[0] for name in job if "/jobs/" in name and "/events" in name}
    driver.get("about:blank")
    for _ in range(100):
        if service.get(f"{API}jobs/{own}").status_code == 404:
            break
    else:
        pytest.fail("the job is still there")


def test_without_the_viewer_the_page_says_so_and_still_works(page, scan):
    assert "viewer is not part of this installation" in page.text("empty-text")
    page.give([scan])
    page.wait_for_status("Done")
    assert rows(page)["fat"] == ["1259"]
    assert page.text("downloads").startswith("Label map (NIfTI)")


def test_every_control_has_a_name_and_the_layout_fits_a_tablet(page):
    names = page.driver.execute_script(
        """return [...document.querySelectorAll("button, select, input:not([hidden])")].map((each) =>
          each.textContent.trim() || each.getAttribute("aria-label") || each.labels?.[0]?.textContent || "")"""
    )
    assert all(names)
    wide, seen = page.driver.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= seen <= 1024
