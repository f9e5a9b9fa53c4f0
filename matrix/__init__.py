"""The shared vocabulary and mathematics: messages, dimensions, scorers, alignment. No input or output."""
