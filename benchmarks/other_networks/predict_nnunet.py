"""Segments scans with nnU-Net's predictor, in an interpreter that has nnunetv2. Started by compare_nnunet.py."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main() -> None:
    """Writes a label map for each scan; mirroring is off, tiles overlap by half, Gaussian weights."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("trained", type=Path)
    parser.add_argument("fold")
    parser.add_argument("out", type=Path)
    parser.add_argument("scans", type=Path, nargs="+")
    options = parser.parse_args()
    for folder in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ.setdefault(folder, ".")  # nnU-Net asks for them at its import; the predictor uses none
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        tile_step_size=0.5,
        use_gaussian=True,
        use_mirroring=False,
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    fold = options.trained / f"fold_{options.fold}"
    checkpoint = next(name for name in ("checkpoint_final.pth", "checkpoint_best.pth") if (fold / name).is_file())
    predictor.initialize_from_trained_model_folder(str(options.trained), (options.fold,), checkpoint)
    reader = predictor.plans_manager.image_reader_writer_class()
    options.out.mkdir(parents=True, exist_ok=True)
    for scan in options.scans:
        image, properties = reader.read_images([str(scan)])
        labels = predictor.predict_single_npy_array(image, properties, None, None, False)
        reader.write_seg(labels, str(options.out / scan.name), properties)


if __name__ == "__main__":
    main()
