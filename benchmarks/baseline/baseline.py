"""The same student on the same scan: MONAI's sliding window on torch eager, and this runtime with every variant.

    python benchmarks/baseline/baseline.py STUDENT_RUN BUNDLE SCAN -o benchmarks/baseline/results.md

Each way runs in a process of its own, one after the other, with the same windows (overlap 0.5, Gaussian weights, none
skipped), and its time is from the scan's file to the label map in memory with the model already loaded. Peak memory is
the process's, libraries included. Labels are compared inside the body.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

OVERLAP = 0.5
REPEATS = 3
BODY_HU = -500


def run_monai(run: Path, scan: Path) -> tuple[np.ndarray, list[float]]:
    """MONAI's own transforms and sliding window around the student in torch; labels [X, Y, Z], seconds."""
    import torch
    from bedside.distill import load_student
    from monai.inferers import sliding_window_inference
    from monai.transforms import Compose, EnsureChannelFirst, LoadImage, Orientation, ScaleIntensityRange, Spacing

    student = load_student(run)
    task = student.task
    low, high = task.intensity.clip
    start, end = task.intensity.scale_to
    transforms = Compose(
        [
            LoadImage(image_only=True), EnsureChannelFirst(), Orientation(axcodes="RAS", labels=None),
            Spacing(pixdim=task.spacing), ScaleIntensityRange(low, high, start, end, clip=True),
        ]
    )  # fmt: skip

    def segment() -> np.ndarray:
        image = torch.as_tensor(transforms(scan)).permute(0, 3, 2, 1)[None]
        with torch.inference_mode():
            logits = sliding_window_inference(
                image, task.patch_dhw, 1, student.model, overlap=OVERLAP, mode="gaussian", cval=task.intensity.air
            )
        return logits[0].argmax(0).permute(2, 1, 0).numpy().astype(np.uint8)

    return timed(segment)


def run_bedside(bundle: Path, scan: Path, engine: str, precision: str) -> tuple[np.ndarray, list[float]]:
    """This runtime; labels [X, Y, Z], seconds."""
    from bedside.runtime import Segmenter

    with Segmenter.load(bundle, engine=engine, precision=precision) as segmenter:
        return timed(lambda: segmenter.segment(scan, overlap=OVERLAP, skip_air=False).labels)


def timed(call: Any) -> tuple[np.ndarray, list[float]]:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        labels = call()
        seconds.append(time.perf_counter() - start)
    return labels, seconds


def child(arguments: argparse.Namespace) -> None:
    if arguments.way == "monai":
        labels, seconds = run_monai(arguments.run, arguments.scan)
    else:
        engine, precision = arguments.way.split("-")
        labels, seconds = run_bedside(arguments.bundle, arguments.scan, engine, precision)
    np.save(arguments.labels, labels)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "torch": "torch" in sys.modules}))


def measure(arguments: argparse.Namespace, way: str, folder: Path) -> dict[str, Any]:
    labels = folder / f"{way}.npy"
    command = [sys.executable, __file__, str(arguments.run), str(arguments.bundle), str(arguments.scan)]
    done = subprocess.run([*command, "--way", way, "--labels", str(labels)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]) | {"way": way, "labels": np.load(labels)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory of the student")
    parser.add_argument("bundle", type=Path, help="bundle exported from it")
    parser.add_argument("scan", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="Markdown file for the table")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--labels", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        child(arguments)
        return

    from bedside.devices import detect
    from bedside.runtime import Bundle, read_volume

    with Bundle.open(arguments.bundle) as bundle:
        variants = [f"{variant.engine}-{variant.precision}" for variant in bundle.manifest.variants]
        student, patch = bundle.manifest.provenance.student, bundle.task.patch
    body = read_volume(arguments.scan).data > BODY_HU
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(arguments, way, Path(folder)) for way in ("monai", *variants)]
    reference = rows[0]
    host = detect()
    lines = [
        f"{host.cpu.model}, {host.usable_cores} cores; {student}, window {patch[0]}×{patch[1]}×{patch[2]}, "
        f"overlap {OVERLAP}, scan {body.shape[0]}×{body.shape[1]}×{body.shape[2]}; best of {REPEATS}.",
        "",
        "| way | seconds | times MONAI's speed | peak memory, MB | same label as MONAI, body |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = min(reference["seconds"]) / min(row["seconds"])
        same = (row["labels"] == reference["labels"])[body].mean()
        way = (
            "MONAI sliding window, torch eager" if row["way"] == "monai" else f"bedside, {row['way'].replace('-', ' ')}"
        )
        lines.append(
            f"| {way} | {min(row['seconds']):.1f} | {ratio:.1f} | {row['peak_bytes'] / 1e6:.0f} | {100 * same:.3f} % |"
        )
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.output:
        arguments.output.write_text(text)


if __name__ == "__main__":
    main()
