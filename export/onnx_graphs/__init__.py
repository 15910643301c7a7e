"""ONNX graphs: makes that of a torch network, and rewrites it for engines, float16 or labels as the output."""
