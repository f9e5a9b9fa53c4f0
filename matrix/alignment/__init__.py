"""The alignment matrix and its mathematics: declaration, normalisation, weights, risk, advantages."""
