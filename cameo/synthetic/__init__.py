"""People who do not exist: rendered heads, synthetic voices, sample selfies. No real person's data is used."""
