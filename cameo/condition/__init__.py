"""Plug an opened double into a generator's conditioning path, and unplug it without a trace."""
