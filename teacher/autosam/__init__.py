"""The AutoSAM Adapter (AutoProSAM): SAM's image encoder, adapted to volumes."""
