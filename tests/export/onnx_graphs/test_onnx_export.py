"""The exported ONNX computes what the student computes, whatever the batch, and holds nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.runtime.errors import UsageError
from onnx import numpy_helper

HASHES = """
import hashlib, numpy, torch
from bedside.distill import build_student
from bedside.export.onnx_graphs.half_precision import onnx_to_fp16
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.export.int8.signed import quantize_signed

torch.manual_seed(0)
single = student_to_onnx(build_student("unet-edge-tiny", num_classes=3).eval(), (32, 32, 32))
patches = [numpy.random.default_rng(seed).random((1, 1, 32, 32, 32), numpy.float32) for seed in range(2)]
for model in (single, onnx_to_fp16(single), quantize_signed(single, patches).model):
    print(hashlib.sha256(model.SerializeToString()).hexdigest())
"""


@pytest.mark.parametrize("batch", [1, 2])
def test_swin_unetr_gives_torchs_logits_for_every_batch(swin, swin_onnx, batch):
    patches = torch.rand(batch, 1, 64, 64, 64, generator=torch.Generator().manual_seed(batch))
    with torch.inference_mode():
        expected = swin(patches).numpy()
    session = onnxruntime.InferenceSession(swin_onnx.SerializeToString())
    logits = session.run(["logits"], {"image": patches.numpy()})[0]
    assert logits.shape == (batch, 3, 64, 64, 64)
    assert np.abs(logits - expected).max() <= 1e-4 * np.ptp(expected)
    assert (logits.argmax(1) == expected.argmax(1)).mean() >= 0.9999


def test_only_the_batch_is_free(swin_onnx):
    for value, channels in ((swin_onnx.graph.input[0], 1), (swin_onnx.graph.output[0], 3)):
        batch, *fixed = value.type.tensor_type.shape.dim
        assert batch.dim_param == "batch"
        assert [size.dim_value for size in fixed] == [channels, 64, 64, 64]
    assert swin_onnx.graph.input[0].name == "image"
    assert swin_onnx.graph.output[0].name == "logits"


def test_the_index_table_that_every_block_holds_is_stored_once(swin_onnx):
    tables = [tensor for tensor in swin_onnx.graph.initializer if np.prod(tensor.dims) == 343 * 343]
    assert len(tables) == 1


def test_every_weight_is_inside_and_nothing_tells_of_the_machine(swin_onnx):
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in swin_onnx.graph.initializer)
    content = swin_onnx.SerializeToString()
    assert b"site-packages" not in content
    assert b".py" not in content


def test_opset_and_ir_version_are_those_of_onnx_runtime_1_18_and_tensorrt_10(swin_onnx):
    assert [opset.version for opset in swin_onnx.opset_import if opset.domain == ""] == [18]
    assert swin_onnx.ir_version <= 10


def test_same_weights_give_the_same_bytes(toy_student):
    first, second = (student_to_onnx(toy_student, (8, 12, 16)).SerializeToString() for _ in range(2))
    assert first == second


def test_two_processes_with_other_hash_seeds_write_the_same_bytes_in_every_precision():
    printed = [
        subprocess.run(
            [sys.executable, "-c", HASHES],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert len(set(printed[0])) == 3


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


def test_an_operator_without_an_onnx_form_is_named():
    class Orthogonal(torch.nn.Module):
        def forward(self, x):
            return x + torch.linalg.qr(x.mean() + torch.eye(3)).Q.sum()

    with pytest.raises(UsageError, match=r"the operator aten\.linalg_qr has no ONNX form$"):
        student_to_onnx(Orthogonal(), (8, 12, 16))


def test_a_model_that_does_not_take_the_patch_is_refused_in_one_line():
    with pytest.raises(UsageError, match=r"cannot export this model at patch 8×12×16 \(D, H, W\)") as error:
        student_to_onnx(torch.nn.Conv3d(2, 3, 1), (8, 12, 16))
    assert "\n" not in str(error.value)
