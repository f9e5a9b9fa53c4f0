"""From a snapshot to a candidate adapter and its evaluation; the only folder that loads a model."""
