"""Runs brought to processes, where more than one works on them."""
