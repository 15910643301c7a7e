"""File helpers: atomic writing, removal of a killed process's temporaries, locks, hashes, text, TOML and HTML pages."""
