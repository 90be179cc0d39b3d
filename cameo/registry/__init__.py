"""What was enrolled on this machine: identifiers, owners, paths; templates only turned and encrypted."""
