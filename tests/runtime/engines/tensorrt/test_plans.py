"""Plans are built once for a GPU, driver, TensorRT and model, and read from nowhere but the user's own cache."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bedside.runtime.engines.cuda import Gpu
from bedside.runtime.engines.tensorrt.library import logger
from bedside.runtime.engines.tensorrt.plans import PlanCache
from bedside.runtime.files.machine_cache import MachineCache

ORIN = Gpu("Orin (nvgpu)", "8.7", "12060 540.4.0")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path / "cache"))
    return MachineCache.of_this_user()


def opened(trt, cache, model, gpu=ORIN, exact=True):
    return PlanCache(trt, gpu, cache).open(model, exact=exact, load=trt.Runtime(logger(trt)).deserialize_cuda_engine)


def test_the_second_opening_builds_nothing(tensorrt, cache, model):
    for _ in range(2):
        assert opened(tensorrt, cache, model) is not None
    assert len(tensorrt.builds) == 1


@pytest.mark.parametrize("change", [{"name": "Thor"}, {"capability": "11.0"}, {"driver": "13020 580.0"}])
def test_another_gpu_or_driver_builds_its_own(tensorrt, cache, model, change):
    opened(tensorrt, cache, model)
    opened(tensorrt, cache, model, replace(ORIN, **change))
    assert len(tensorrt.builds) == 2


def test_another_model_version_or_exactness_builds_its_own(tensorrt, cache, model, toy):
    opened(tensorrt, cache, model)
    opened(tensorrt, cache, toy.nearest_mean_model((6, 7, 8)))
    opened(tensorrt, cache, model, exact=False)
    tensorrt.__version__ = "10.16.2"
    opened(tensorrt, cache, model)
    assert len(tensorrt.builds) == 4


def test_a_build_goes_on_from_the_timings_of_the_last_one(tensorrt, cache, model, toy):
    opened(tensorrt, cache, model)
    opened(tensorrt, cache, toy.nearest_mean_model((6, 7, 8)))
    assert [timings for timings, _ in tensorrt.builds] == [b"", b"timed "]


def test_a_plan_that_was_altered_is_built_again(tensorrt, cache, model, tmp_path):
    opened(tensorrt, cache, model)
    for file in (tmp_path / "cache").glob("*.compiled"):
        file.write_bytes(file.read_bytes() + b"!")
    assert opened(tensorrt, cache, model) is not None
    assert [timings for timings, _ in tensorrt.builds] == [b"", b""]


def test_a_plan_that_tensorrt_refuses_is_built_again_and_logged(tensorrt, cache, model, caplog):
    opened(tensorrt, cache, model)
    tensorrt.mark = b"plan of an updated library\n"  # under the same version
    with caplog.at_level("INFO", "bedside"):
        assert opened(tensorrt, cache, model) is not None
    assert len(tensorrt.builds) == 2
    assert "cached plan rejected, building again: The engine plan file is not compatible" in caplog.text


def test_without_a_cache_every_opening_builds(tensorrt, model):
    for _ in range(2):
        assert opened(tensorrt, MachineCache(None), model) is not None
    assert len(tensorrt.builds) == 2
