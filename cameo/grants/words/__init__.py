"""The word lists that prompts are judged by, and how their phrases are found in a folded text."""
