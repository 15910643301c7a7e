"""The probe: times a few dozen small kernels on a device, so that a desk elsewhere can plan with them."""
