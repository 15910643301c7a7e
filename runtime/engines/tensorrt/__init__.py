"""TensorRT: builds an engine from a bundle's ONNX on this machine, keeps it in the machine's cache, and runs it."""
