"""What several commands ask for alike: options, and the extras of the install that they stand on."""
