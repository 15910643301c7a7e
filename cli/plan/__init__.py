"""`bedside plan`: what bundles or students need on a device that need not be there."""
