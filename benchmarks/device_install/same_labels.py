"""Counts the voxels in which two label maps differ; exits with 1 if too many do, or if their grids differ.

python benchmarks/device_install/same_labels.py A.nii.gz B.nii.gz [SHARE]

SHARE is the share of voxels that may differ; 0 if not given.
"""

from __future__ import annotations

import sys

import numpy as np
from bedside.runtime import read_labels


def main() -> int:
    first, second = (read_labels(path) for path in sys.argv[1:3])
    allowed = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    if first.grid.shape != second.grid.shape or not np.array_equal(first.grid.affine, second.grid.affine):
        print(f"different grids: {first.grid} and {second.grid}")
        return 1
    different = int(np.count_nonzero(first.data != second.data))
    found = np.unique(first.data).size
    print(f"{different} of {first.data.size} voxels differ; {found} labels found, background included")
    return int(different > allowed * first.data.size)


if __name__ == "__main__":
    sys.exit(main())
