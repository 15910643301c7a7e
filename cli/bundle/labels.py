"""`bedside bundle labels`: writes a bundle's network as an ONNX that returns labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..options.engine import precision_option
from ..options.extras import require
from ..options.outputs import check_new
from ..options.paths import bundle_argument, output_option
from ..terminal.console import Console


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Write a bundle's network as an ONNX that returns labels, for programs that run single windows.

    The argmax over classes becomes part of the network, so a program in whatever language gets one byte per voxel.
    Windows that overlap need logits: `bedside segment` and the runtime take the bundle itself.

    Example: bedside bundle labels student.bedside --precision int8 -o labels.onnx
    """

    bundle: Annotated[Path, bundle_argument(help="Bundle directory, or a zip of one.", show_default=False)]
    output: Annotated[Path, output_option("--output", "-o", help="ONNX to write.", show_default=False)]
    precision: Annotated[str, precision_option(help="Precision of the bundle's ONNX, such as fp32, fp16 or int8.")] = (
        "fp32"
    )
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False
    console: Console

    def __call__(self) -> None:
        """Writes the ONNX."""
        check_new(self.output, ".onnx", force=self.force)
        require("export")
        import onnx

        from ...export.onnx_graphs.label_model import LABELS_NAME, onnx_of_labels
        from ...runtime.bundles.bundle import Bundle
        from ...runtime.files.atomic import atomic_write

        with Bundle.open(self.bundle) as bundle:
            variant = bundle.variant("onnxruntime", self.precision)
            model = onnx_of_labels(onnx.load_from_string(bundle.read(variant.file)))
        with atomic_write(self.output) as temporary:
            temporary.write_bytes(model.SerializeToString())
        size = self.output.stat().st_size
        self.console.finished(f'the network "{self.output.name}" is written')
        self.console.show(f'It takes "image" and returns "{LABELS_NAME}", one whole number for each voxel.')
        self.console.emit({"onnx": str(self.output), "precision": self.precision, "bytes": size})
