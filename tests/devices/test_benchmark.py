from __future__ import annotations

import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from bedside.devices import BenchmarkReport, benchmark
from bedside.devices.measurement import rounds
from bedside.processes import worker_pool
from bedside.runtime import write_manifest
from bedside.runtime.bundles.manifest import MANIFEST_NAME, decode_manifest
from bedside.runtime.engines import available_engines
from bedside.runtime.errors import BundleError, InputError, ResourceError, UsageError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume


def quick(bundle: Path | list[Path], **options: object) -> BenchmarkReport:
    """One variant, measured no longer than it must."""
    settings: dict[str, object] = {
        "engines": ["onnxruntime"],
        "precisions": ["fp32"],
        "threads": 1,
        "min_seconds": 0.0,
        "rounds": 2,
    }
    return benchmark(bundle, **{**settings, **options})  # pyright: ignore[reportArgumentType]


def test_every_engine_and_precision_is_measured_and_progress_ends_at_the_total(tiny_bundle: Path) -> None:
    steps: list[tuple[int, int]] = []
    report = benchmark(
        tiny_bundle, threads=1, min_seconds=0.0, rounds=2, progress=lambda done, total: steps.append((done, total))
    )
    measured = [(variant.engine, variant.precision) for variant in report.variants]
    assert measured == [(engine, precision) for engine in available_engines() for precision in ("fp32", "int8")]
    assert steps == sorted(steps)
    assert steps[-1] == (100 * len(measured), 100 * len(measured))


def test_the_parts_of_a_report_fit_together(tiny_bundle: Path) -> None:
    report = quick(tiny_bundle)
    (variant,) = report.variants
    cold, window, memory, whole = variant.cold_start, variant.window, variant.memory, variant.end_to_end
    assert cold.total_s == pytest.approx(cold.open_bundle_s + cold.load_engine_s + cold.first_window_s)
    assert window.calls >= 10
    assert 0 < window.min_ms <= window.p50_ms <= window.p90_ms <= window.p99_ms <= window.max_ms
    assert memory.end_to_end_peak is not None
    assert memory.above_baseline == max(memory.network_peak, memory.end_to_end_peak) - memory.baseline > 0
    assert whole is not None
    assert list(whole.stages) == ["read", "preprocess", "plan", "locate", "infer", "blend", "restore", "save"]
    assert sum(whole.stages.values()) <= whole.total_s * 1.001
    assert (report.task, report.patch, report.threads) == ("toy", (16, 16, 16), 1)


def test_without_a_scan_a_synthetic_one_is_segmented_and_the_report_says_so(tiny_bundle: Path) -> None:
    report = quick(tiny_bundle)
    assert report.scan == "synthetic trunk, 27×20×17 voxels of 12×12×12 mm (no scan was given)"
    whole = report.variants[0].end_to_end
    assert whole is not None
    assert whole.shape == (27, 20, 17)
    assert whole.spacing == pytest.approx((12, 12, 12))


def test_a_given_scan_is_segmented_and_its_name_is_not_in_the_report(tiny_bundle: Path, tmp_path: Path) -> None:
    scan = tmp_path / "doe_jane.nii.gz"
    body = np.full((20, 18, 10), 40, np.int16)
    body[5:9, 5:9, 3:7] = 500
    write_volume(scan, body, Grid((20, 18, 10), np.diag([10.0, 10.0, 20.0, 1.0])))
    report = quick(tiny_bundle, input=scan, overlap=0.5)
    whole = report.variants[0].end_to_end
    assert whole is not None
    assert (whole.shape, report.overlap) == ((20, 18, 10), 0.5)
    assert report.scan == "the scan that was given, 20×18×10 voxels of 10×10×20 mm"
    assert report.scan_sha256 == hashlib.sha256(scan.read_bytes()).hexdigest()
    assert "doe" not in json.dumps(report.to_dict())


def test_the_network_alone_can_be_measured(tiny_bundle: Path) -> None:
    report = quick(tiny_bundle, end_to_end=False)
    assert report.variants[0].end_to_end is None
    assert report.variants[0].memory.end_to_end_peak is None


def test_the_report_is_plain_json(tiny_bundle: Path) -> None:
    report = quick(tiny_bundle, end_to_end=False)
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["variants"][0]["window"]["p50_ms"] == report.variants[0].window.p50_ms
    assert content["host"]["cpu"]["logical_cores"] == report.host.cpu.logical_cores


def test_a_variant_whose_process_dies_is_named_and_the_others_are_measured(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = worker_pool.worker_command()
    die_on_int8 = (
        "import os, signal, sys\nif b'int8' in sys.stdin.buffer.peek(): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    monkeypatch.setattr(worker_pool, "worker_command", lambda: [*command[:2], die_on_int8 + command[2], *command[3:]])
    report = quick(tiny_bundle, precisions=["fp32", "int8"], end_to_end=False)
    assert [variant.precision for variant in report.variants] == ["fp32"]
    assert [(failure.precision, "out of memory" in failure.reason) for failure in report.failed] == [("int8", True)]
    assert any(warning.startswith("not measured: onnxruntime int8") for warning in report.warnings)


def faulty_int8(bundle: Path, toy: Any) -> Path:
    """Gives a bundle's int8 variant another network, as an engine with a fault on this machine would be."""
    (bundle / "model.int8.onnx").write_bytes(toy.nearest_mean_model((16, 16, 16), means=(1.0, 0.5, 0.0)))
    write_manifest(bundle, decode_manifest((bundle / MANIFEST_NAME).read_bytes()))
    return bundle


@pytest.mark.parametrize("end_to_end", [True, False], ids=["scans", "network only"])
def test_a_variant_that_fails_its_self_test_is_named_and_the_others_are_measured(
    tiny_bundle: Path, toy: Any, end_to_end: bool
) -> None:
    report = quick(faulty_int8(tiny_bundle, toy), precisions=["fp32", "int8"], end_to_end=end_to_end)
    assert [variant.precision for variant in report.variants] == ["fp32"]
    assert [failure.precision for failure in report.failed] == ["int8"]
    assert report.failed[0].reason.startswith("self-test with onnxruntime int8 failed on this machine: 0.")


def test_variants_are_compared_round_by_round_with_the_first(tiny_bundle: Path) -> None:
    report = quick(tiny_bundle, precisions=["fp32", "int8"], rounds=3, scan_rounds=2)
    first, second = report.variants
    assert (first.ratio, first.total_ratio) == (None, None)
    assert second.ratio is not None
    assert second.total_ratio is not None
    logs = [math.log(own / other) for own, other in zip(second.rounds_ms, first.rounds_ms, strict=True)]
    assert second.ratio.value == pytest.approx(math.exp(sum(logs) / 3))
    assert second.end_to_end is not None
    assert second.end_to_end.total_s == min(second.end_to_end.rounds_s)  # the lower median of two
    assert (report.repeat is not None and report.repeat.rounds, second.total_ratio.rounds) == (3, 2)


def test_bundles_threads_and_overlaps_are_measured_in_one_run(tiny_bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.bedside"
    shutil.copytree(tiny_bundle, other)
    report = quick([tiny_bundle, other], threads=[1, 2], overlap=[0.0, 0.5], rounds=1)
    names = [variant.name for variant in report.variants]
    assert len(names) == 8
    assert names[0] == "tiny, onnxruntime fp32, 1 threads, overlap 0"
    assert names[-1] == "other, onnxruntime fp32, 2 threads, overlap 0.5"
    assert [bundle.name for bundle in report.bundles] == ["tiny", "other"]
    assert [variant.bundle for variant in report.variants] == [0] * 4 + [1] * 4
    assert {(variant.threads, variant.overlap) for variant in report.variants} == {
        (1, 0.0),
        (1, 0.5),
        (2, 0.0),
        (2, 0.5),
    }


def test_what_fits_no_memory_beside_the_others_is_measured_in_a_further_group(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "free_memory", lambda: 0)
    report = quick(tiny_bundle, precisions=["fp32", "int8"], end_to_end=False)
    second = report.variants[1]
    assert second.ratio is not None
    assert second.ratio.rounds == 2
    assert any("measured in 2 groups" in warning for warning in report.warnings)


def test_nothing_measured_is_an_error(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = worker_pool.worker_command()
    monkeypatch.setattr(worker_pool, "worker_command", lambda: [command[0], "-c", "raise SystemExit(9)"])
    with pytest.raises(ResourceError, match=r"no variant could be measured; onnxruntime fp32: .* exit code 9"):
        quick(tiny_bundle)


def test_a_damaged_bundle_is_refused_before_anything_is_measured(tiny_bundle: Path) -> None:
    model = tiny_bundle / "model.fp32.onnx"
    content = bytearray(model.read_bytes())
    content[10] ^= 1
    model.write_bytes(content)
    with pytest.raises(BundleError, match="SHA-256"):
        quick(tiny_bundle)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((8, 8, 8, 3), np.int16), "expected one 3D volume, got 3"),
        (np.zeros((8, 8, 8), np.int16), "got the same value 0 in every voxel"),
        (np.full((8, 8, 8), np.nan, np.float32), "got NaN or Inf in plane 1 of 8"),
        (np.zeros((8, 8, 8192), np.int16), "at most 4000 mm, got 8192 mm"),
    ],
    ids=["4D", "constant", "NaN", "long"],
)
def test_a_refused_scan_is_refused_before_anything_is_measured(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: np.ndarray, message: str
) -> None:
    monkeypatch.setattr(rounds.Rounds, "measure", lambda *_: pytest.fail("measured"))
    scan = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), scan)  # pyright: ignore[reportPrivateImportUsage]
    with pytest.raises(InputError, match=message) as caught:
        quick(tiny_bundle, input=scan)
    assert "--" not in str(caught.value)  # it has no option of `segment`


def test_a_damaged_scan_is_refused_before_anything_is_measured(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds.Rounds, "measure", lambda *_: pytest.fail("measured"))
    scan = tmp_path / "scan.nii.gz"
    write_volume(scan, np.arange(512, dtype=np.int16).reshape(8, 8, 8), Grid((8, 8, 8), np.eye(4)))
    content = bytearray(scan.read_bytes())
    content[-8] ^= 1  # of the checksum
    scan.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        quick(tiny_bundle, input=scan)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engines": ["caffe"]}, 'no engine "caffe"'),
        ({"precisions": ["int4"]}, 'int8-bf16, got "int4"'),
        ({"threads": 0}, "threads: expected a whole number from 1 to 1024, got 0"),
        ({"overlap": 1.0}, "overlap: expected 0 ≤ overlap < 1"),
        ({"min_seconds": float("nan")}, "seconds: expected a number from 0 to 86400"),
        ({"min_seconds": 1e9}, "seconds: expected a number from 0 to 86400"),
        ({"rounds": 0}, "rounds: expected a whole number from 1 to 1000"),
        ({"scan_rounds": 1001}, "scan_rounds: expected a whole number from 1 to 1000"),
    ],
)
def test_a_wrong_option_is_a_usage_error(tiny_bundle: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        quick(tiny_bundle, **options)


def test_a_missing_scan_is_refused_at_once(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'no scan "absent\.nii"'):
        quick(tiny_bundle, input=tmp_path / "absent.nii")
