"""What several commands ask for alike: options, a look at outputs, the extras of the install."""
