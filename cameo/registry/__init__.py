"""What was enrolled on this machine: identifiers, owners and paths, never a biometric."""
