"""File helpers: atomic writing, removal of a killed process's temporaries, locks, hashes, UTF-8 text and TOML."""
