"""Adapters to the outside world that stages share, the command line, the local stack and the demo."""
