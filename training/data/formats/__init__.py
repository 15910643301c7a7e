"""The layouts in which people have data sets, each read into one `Listing`."""
