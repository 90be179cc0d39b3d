"""The `.cameo` file: what was consented to, what is in it, and who may open which part."""
