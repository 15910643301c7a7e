"""A small probe made by hand, for tests of reading and of planning."""

from __future__ import annotations

from bedside.devices.probe.kernels import Kind
from bedside.devices.probe.results import KernelTime, Probe, ProbedHost, Series


def kernel(kind: Kind, inner: int, columns: int, edge: int, seconds: float, **fields) -> KernelTime:
    given = {"quantized": False, "network_seconds": 2 * seconds, "calls": 4, "rows": edge**3, **fields}
    return KernelTime(kind=kind, inner=inner, columns=columns, edge=edge, seconds=seconds, **given)


def made_probe(*kernels: KernelTime, quantized: tuple[KernelTime, ...] = (), threads: int = 2) -> Probe:
    """Returns a probe of ONNX Runtime, with one convolution of 3³ where no kernels are given."""
    given = kernels or (kernel("conv", 16, 16, 32, seconds=2e-3),)
    series = [Series(engine="onnxruntime", precision="fp32", threads=threads, kernels=given)]
    if quantized:
        series.append(Series(engine="onnxruntime", precision="int8", threads=threads, kernels=quantized))
    return Probe(
        bedside_version="0.1.0",
        host=ProbedHost(
            cpu="Some CPU",
            architecture="x86_64",
            features=("AVX2",),
            usable_cores=2,
            cpu_quota=None,
            profile=None,
            load_average=0.1,
        ),
        engines={"onnxruntime": "1.18.0"},
        series=tuple(series),
        seconds=60.0,
    )
