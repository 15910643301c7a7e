"""The driver library's functions, called on a GPU of main memory, and on a machine that has neither."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from bedside.runtime.engines import cuda
from bedside.runtime.engines.cuda import CudaError, CudaStream, Gpu, describe_gpu


@pytest.fixture
def no_driver(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    cuda.load_library.cache_clear()
    yield
    cuda.load_library.cache_clear()


def test_a_gpu_is_described_by_name_capability_and_driver(driver, monkeypatch):
    banner = "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0\nGCC version: 11.4.0"
    monkeypatch.setattr(cuda, "read_text", lambda path: banner)
    line = banner.splitlines()[0]
    assert describe_gpu() == Gpu("Orin (nvgpu)", "8.7", f"12060 {line}")


def test_without_the_drivers_own_line_its_number_remains(driver, monkeypatch):
    monkeypatch.setattr(cuda, "read_text", lambda path: "")
    assert describe_gpu().driver == "12060"


@pytest.mark.usefixtures("no_driver")
def test_a_machine_without_driver_says_so():
    with pytest.raises(CudaError, match=r"no NVIDIA driver on this machine: libcuda\.so\.1 cannot be loaded"):
        describe_gpu()


def test_a_driver_without_gpu_says_so(driver):
    driver.failing["cuInit"] = 100
    with pytest.raises(CudaError, match=r"refuses cuInit: no CUDA-capable device is detected \(100\)"):
        describe_gpu()


def test_what_is_uploaded_comes_back_from_where_it_was_put(driver):
    values = np.arange(6, dtype=np.float32)
    with CudaStream(24, 24) as stream:
        stream.upload(values)
        driver.array(stream.device_output, [6])[...] = 2 * driver.array(stream.device_input, [6])
        doubled = np.empty((2, 3), np.float32)
        stream.download(doubled)
    assert doubled.tolist() == [[0, 2, 4], [6, 8, 10]]


def test_copies_go_through_pinned_memory_and_the_result_is_waited_for(driver):
    with CudaStream(8, 8) as stream:
        assert driver.calls.count("cuMemHostAlloc") == 2
        driver.calls.clear()
        stream.upload(np.zeros(2, np.float32))
        stream.download(np.zeros(2, np.float32))
        assert driver.calls == [
            "cuCtxSetCurrent",
            "cuMemcpyHtoDAsync_v2",
            "cuMemcpyDtoHAsync_v2",
            "cuStreamSynchronize",
        ]


def test_closing_frees_everything_and_may_be_repeated(driver):
    stream = CudaStream(8, 8)
    assert (len(driver.memory), len(driver.streams)) == (4, 1)
    stream.close()
    stream.close()
    assert (len(driver.memory), len(driver.streams)) == (0, 0)


def test_where_the_gpu_is_full_nothing_stays_allocated(driver):
    driver.failing["cuMemHostAlloc"] = 2
    with pytest.raises(CudaError, match=r"refuses cuMemHostAlloc: out of memory \(2\)"):
        CudaStream(8, 8)
    assert (driver.memory, driver.streams) == ({}, set())


def test_two_streams_have_buffers_of_their_own(driver):
    with CudaStream(8, 8) as one, CudaStream(8, 8) as other:
        assert len({one.handle, other.handle}) == 2
        assert len({one.device_input, other.device_input, one.device_output, other.device_output}) == 4
