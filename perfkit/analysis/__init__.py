"""What runs say: which belong together, how they compare, what was found. Nothing here draws."""
