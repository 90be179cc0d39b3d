"""Video generators a double can be cast in: one small protocol, one file per family."""
