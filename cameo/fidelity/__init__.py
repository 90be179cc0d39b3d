"""Score how much generated clips resemble a person, and how much an adapter gives back."""
