"""The exported ONNX computes what the student computes, whatever the batch, and holds nothing else."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from bedside.export.onnx_export import student_to_onnx
from bedside.runtime.errors import UsageError
from monai.networks.nets.swin_unetr import SwinUNETR
from onnx import numpy_helper

PATCH = (32, 32, 64)


@pytest.fixture(scope="module")
def swin() -> torch.nn.Module:
    """Two blocks in the first stage, so that one of them shifts its windows and needs an attention mask."""
    torch.manual_seed(0)
    network = SwinUNETR(
        in_channels=1, out_channels=3, feature_size=12, depths=(2, 1, 1, 1), num_heads=(1, 2, 4, 8), spatial_dims=3
    )
    return network.eval()


@pytest.fixture(scope="module")
def exported(swin: torch.nn.Module) -> onnx.ModelProto:
    return student_to_onnx(swin, PATCH)


@pytest.mark.parametrize("batch", [1, 2])
def test_swin_unetr_gives_torchs_logits_for_every_batch(swin, exported, batch):
    patches = torch.randn(batch, 1, *PATCH, generator=torch.Generator().manual_seed(batch))
    with torch.inference_mode():
        expected = swin(patches).numpy()
    session = onnxruntime.InferenceSession(exported.SerializeToString())
    logits = session.run(["logits"], {"image": patches.numpy()})[0]
    assert logits.shape == (batch, 3, *PATCH)
    assert np.abs(logits - expected).max() <= 1e-3 * np.ptp(expected)
    assert (logits.argmax(1) == expected.argmax(1)).mean() >= 0.9999


def test_only_the_batch_is_free(exported):
    for value, channels in ((exported.graph.input[0], 1), (exported.graph.output[0], 3)):
        batch, *fixed = value.type.tensor_type.shape.dim
        assert batch.dim_param == "batch"
        assert [size.dim_value for size in fixed] == [channels, *PATCH]
    assert exported.graph.input[0].name == "image"
    assert exported.graph.output[0].name == "logits"


def test_attention_masks_are_folded_to_region_maps_and_not_stored_whole(exported):
    assert not [node for node in exported.graph.node if node.op_type == "ScatterND"]
    weights = max(np.prod(tensor.dims) for tensor in exported.graph.initializer if "weight" in tensor.name)
    # 3 × 3 × 5 windows of 343 voxels would make a mask of 5,294,205 values.
    assert max(np.prod(tensor.dims) for tensor in exported.graph.initializer) <= max(weights, 343 * 343)


def test_the_index_table_that_every_block_holds_is_stored_once(exported):
    tables = [tensor for tensor in exported.graph.initializer if tuple(tensor.dims) == (343, 343)]
    assert len(tables) == 1


def test_every_weight_is_inside_and_nothing_tells_of_the_machine(exported):
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in exported.graph.initializer)
    content = exported.SerializeToString()
    assert b"site-packages" not in content
    assert b".py" not in content


def test_opset_and_ir_version_are_those_of_onnx_runtime_1_18_and_tensorrt_10(exported):
    assert [opset.version for opset in exported.opset_import if opset.domain == ""] == [18]
    assert exported.ir_version <= 10


def test_same_weights_give_the_same_bytes(toy_student):
    first, second = (student_to_onnx(toy_student, (8, 12, 16)).SerializeToString() for _ in range(2))
    assert first == second


def test_the_model_given_stays_in_training_mode_with_its_weights(toy_student):
    toy_student.train()
    before = [parameter.clone() for parameter in toy_student.parameters()]
    student_to_onnx(toy_student, (8, 12, 16))
    assert toy_student.training
    assert all(torch.equal(old, new) for old, new in zip(before, toy_student.parameters(), strict=True))


def test_weights_are_the_students(toy_student):
    model = student_to_onnx(toy_student, (8, 12, 16))
    kernels = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.dims[1:] == [1, 1, 1, 1]]
    assert np.array_equal(kernels[0], toy_student[0].weight.detach().numpy())


def test_a_model_that_does_not_take_the_patch_is_refused_in_one_line():
    with pytest.raises(UsageError, match=r"cannot export this model at patch 8×12×16 \(D, H, W\)") as error:
        student_to_onnx(torch.nn.Conv3d(2, 3, 1), (8, 12, 16))
    assert "\n" not in str(error.value)
