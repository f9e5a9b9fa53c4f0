"""Drawing completions for training."""
