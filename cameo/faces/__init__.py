"""Where a face is in a picture and how it moves: detection, ten landmarks, alignment, tracking."""
