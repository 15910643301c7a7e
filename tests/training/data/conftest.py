import pytest

from .cubes import CubesFolder


@pytest.fixture
def cubes(tmp_path):
    return CubesFolder(tmp_path / "data").add("fine")


@pytest.fixture
def cubes_task(small_task):
    return small_task.replaced(spacing=(4.0, 4.0, 5.0), patch=(32, 32, 16))
