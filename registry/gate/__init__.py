"""The gate: numbers in, report out. Nothing here reads a clock, a socket or a row."""
