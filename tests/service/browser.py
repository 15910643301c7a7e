"""A real Chromium that tests drive, with WebGL on the CPU."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PROGRAMS = ("chromium", "chromedriver")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--force-device-scale-factor=1",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
SECONDS = 90


class Page:
    """The service's page in one window; `switch` goes to another one."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)
        self.wait(lambda: self.text("status") == "Ready")

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def text(self, name: str) -> str:
        return self.find(f"#{name}").text

    def give(self, files: Sequence[Path]) -> None:
        """Chooses files as a person does in the browser's dialogue."""
        self.find("#file").send_keys("\n".join(map(str, files)))

    def wait(self, true: Callable[[], Any]) -> None:
        end = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < end, (self.text("status"), self.text("message"), self.log())
            time.sleep(0.05)

    def wait_for_status(self, *words: str) -> None:
        self.wait(lambda: self.text("status") in words)

    def log(self) -> list[str]:
        """Errors of the page since the last call, refused policies among them."""
        return [each["message"] for each in self.driver.get_log("browser") if each["level"] == "SEVERE"]

    def coloured(self, selector: str) -> int:
        """Number of pixels of an element that are not grey: labels, and the crosshair's few."""
        from matplotlib.image import imread

        picture = imread(io.BytesIO(self.find(selector).screenshot_as_png))[..., :3]
        return int((np.ptp(picture, axis=-1) > 0.2).sum())


@contextmanager
def chromium(width: int = 1024, height: int = 768) -> Iterator[Page]:
    """Starts a browser that reaches no other machine; the test is skipped where none is installed."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed (Debian: apt install chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for option in (*OPTIONS, f"--window-size={width},{height}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(shutil.which("chromedriver"))))
    try:
        yield Page(driver)
    finally:
        driver.quit()
