"""Take a recording in: decode it, find the speech, say whether it is good enough to enrol from."""
