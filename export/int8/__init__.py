"""Quantizes an ONNX to int8 in the two forms that engines compute fast, without the layers that it costs most."""
