"""What stages say to one another: frozen models with schema versions, one file per subject."""
