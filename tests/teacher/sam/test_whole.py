"""All tensors of SAM."""

from __future__ import annotations

import pytest
import torch
from bedside.teacher.sam.sizes import find_sam_size
from bedside.teacher.sam.whole import sams_shapes
from segment_anything import sam_model_registry


@pytest.mark.parametrize(("sam", "tensors"), [("vit_b", 314), ("vit_l", 482), ("vit_h", 594)])
def test_a_checkpoint_has_the_names_and_shapes_of_metas_own(sam, tensors):
    with torch.device("meta"):
        metas = sam_model_registry[sam]().state_dict()
    shapes = sams_shapes(find_sam_size(sam))
    assert len(shapes) == tensors
    assert shapes == {name: tuple(tensor.shape) for name, tensor in metas.items()}
