"""Labels after the fact: from a file, by a classifier, or by hand on a page."""
