"""From a candidate to what people are served, with people in between."""
