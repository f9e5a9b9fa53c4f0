"""From events to scores, risk priorities and snapshots."""
