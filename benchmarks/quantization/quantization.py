"""Compares methods of quantization on a trained student: Dice, labels, time per window, size.

    bedside export RUN -o BUNDLE --calibration DATASET --precision fp32,fp16,int8 --gate 0 --keep-failed
    python benchmarks/quantization/quantization.py BUNDLE DATASET WORK --cases 12

Training scans calibrate, validation scans are for methods that choose layers, test scans are for the table. Every
method's model runs in a copy of the bundle, below WORK, through the whole runtime. Its time is measured in turns with
fp32 in OpenVINO and given as a ratio. A row is printed when it is measured; --methods repeats some of them.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from statistics import fmean, median

import msgspec
import numpy as np
from bedside.export.gate.borders import BorderComparison
from bedside.export.gate.dice import VariantScores, segment_cases
from bedside.export.patches import organ_patches, sample_patches
from bedside.runtime import Bundle
from bedside.runtime.bundles.manifest import Manifest
from bedside.runtime.bundles.manifest_writer import write_manifest
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.engine_selection.timing import timed
from bedside.runtime.engines import Engine, open_engine, supports
from bedside.runtime.labels.probabilities import softmax
from bedside.training.data.dataset import Case, Dataset, load_dataset
from methods import METHODS, Data, Method, copied

CALIBRATION_PATCHES, VALIDATION_PATCHES = 16, 8
TEST_PATCHES = 16  # for the probabilities
ROUNDS = 11
HEAD = (
    "| method | engine | mean Dice | least Dice of an organ | labels of organs as fp32 | mean \\|Δp\\| "
    "| calibration error | time | MB |\n| -- | -- | -- | -- | -- | -- | -- | -- | -- |"
)


def main() -> None:
    given = _arguments()
    with Bundle.open(given.bundle) as bundle:
        manifest = bundle.manifest
    dataset = load_dataset(given.dataset, labels=manifest.task.labels)
    comparison = Comparison(given.bundle, manifest, dataset, given)
    print(HEAD, flush=True)
    for method in METHODS:
        if method.title in given.methods or method is METHODS[0]:
            print(comparison.row(method), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="bundle of the student, with fp16 and int8")
    parser.add_argument("dataset", type=Path, help="data set with test and validation scans")
    parser.add_argument("work", type=Path, help="folder for the methods' models")
    parser.add_argument("--cases", type=int, default=12, help="test cases")
    parser.add_argument("--overlap", type=float, help="overlap of windows; default: the bundle's")
    parser.add_argument("--threads", type=int, default=1)
    titles = [method.title for method in METHODS]
    parser.add_argument("--methods", nargs="+", choices=titles, default=titles, help="default: all")
    return parser.parse_args()


class Comparison:
    """Measures methods, fp32 first.

    Args:
        bundle: bundle of the student.
        manifest: its manifest.
        dataset: the data set.
        given: arguments of the command line.
    """

    def __init__(self, bundle: Path, manifest: Manifest, dataset: Dataset, given: argparse.Namespace) -> None:
        self._bundle, self._manifest, self._given = bundle, manifest, given
        self._cases = [(case.image, case.label) for case in _labelled(dataset.test)[: given.cases]]
        self._ignore = dataset.ignore
        task = manifest.task
        self._data = Data(
            calibration=sample_patches([case.image for case in dataset.training], task, CALIBRATION_PATCHES),
            validation=organ_patches(
                [(case.image, case.label) for case in _labelled(dataset.validation)], task, VALIDATION_PATCHES
            ),
            ignore=dataset.ignore,
        )
        self._exact: VariantScores | None = None
        self._test = organ_patches(self._cases, task, TEST_PATCHES)
        with closing(self._opened(bundle, METHODS[0])) as engine:
            self._probabilities = [softmax(engine.infer(patch.image)[0]) for patch in self._test]

    def row(self, method: Method) -> str:
        """Measures a method and returns its row of the table."""
        if not supports(method.engine, method.precision):
            return f"| {method.title} | {method.engine} | not computed by this machine | – | – | – | – | – | – |"
        folder = copied(self._bundle, self._given.work / method.title.lower().replace(" ", "-").replace(",", ""))
        if method.make is not None:
            method.make(folder, self._data)
        variant = Variant(precision=method.precision, engine=method.engine, file=method.file)
        manifest = write_manifest(folder, msgspec.structs.replace(self._manifest, variants=(variant,), left_out=()))
        scores = segment_cases(
            folder,
            variant,
            self._cases,
            threads=self._given.threads,
            ignore=self._ignore,
            overlap=self._given.overlap,
        )
        self._exact = self._exact or scores
        dice = list(scores.organ_means.values())
        agreement = label_agreement(scores, self._exact)
        difference, error = self._borders(folder, method)
        ratio, milliseconds = self._time(folder, method)
        size = manifest.variant_bytes(variant) / 1e6
        return (
            f"| {method.title} | {method.engine} | {fmean(dice):.4f} | {min(dice):.4f} | {100 * agreement:.2f} % | "
            f"{difference:.4f} | {error:.4f} | {ratio:.2f} ({milliseconds:.0f} ms) | {size:.1f} |"
        )

    def _borders(self, folder: Path, method: Method) -> tuple[float, float]:
        """Returns the mean |Δp| from fp32 and the expected calibration error near the borders of organs, means of them.

        Both are those of the gate, over patches of the test scans; the second is against the true labels.
        """
        task = self._manifest.task
        comparison = BorderComparison(task.num_classes)
        with closing(self._opened(folder, method)) as engine:
            for patch, exact in zip(self._test, self._probabilities, strict=True):
                comparison.add(softmax(engine.infer(patch.image)[0]), exact, patch.truth, self._ignore)
        figures = comparison.figures(task.labels).values()
        errors = [each.confidence_error for each in figures if each.confidence_error is not None]
        return fmean(each.difference for each in figures), fmean(errors)

    def _opened(self, folder: Path, method: Method) -> Engine:
        return open_engine(method.engine, folder / method.file, threads=self._given.threads, precision=method.precision)

    def _time(self, folder: Path, method: Method) -> tuple[float, float]:
        """Returns the time of a window against fp32 in OpenVINO, both in turns, and its milliseconds."""
        patch, threads = self._data.calibration[0], self._given.threads
        with closing(self._opened(folder, method)) as own, closing(self._opened(folder, METHODS[0])) as other:
            for engine in (own, other):
                engine.infer(patch)  # the first run allocates the workspace
            pairs = [
                (timed(lambda: own.infer(patch), threads).seconds, timed(lambda: other.infer(patch), threads).seconds)
                for _ in range(ROUNDS)
            ]
        return median(a / b for a, b in pairs), 1000 * median(a for a, _ in pairs)


def label_agreement(scores: VariantScores, exact: VariantScores) -> float:
    """Returns the share of voxels with equal labels, of those that either calls an organ; the mean over the cases."""
    shares: list[float] = []
    for own, other in zip(scores.labels, exact.labels, strict=True):
        a, b = own.array(), other.array()
        organ = (a > 0) | (b > 0)
        shares.append(float(np.mean(a[organ] == b[organ])) if organ.any() else 1.0)
    return fmean(shares)


def _labelled(cases: tuple[Case, ...]) -> list[Case]:
    return [case for case in cases if case.label is not None]


if __name__ == "__main__":
    main()
