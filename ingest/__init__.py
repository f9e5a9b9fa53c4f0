"""From a person's click to an accepted event, counted once."""
