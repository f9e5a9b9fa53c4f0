"""What names a person in a text: found by rules behind a cheap prefilter, and replaced by placeholders for good."""
