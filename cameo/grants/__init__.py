"""Lend a double: grants, proofs, revocation, the ledger of uses. Nothing here sees a face or hears a voice."""
