"""Files that are whole or not there: atomic writing, what a killed writer left, hashes, TOML."""
