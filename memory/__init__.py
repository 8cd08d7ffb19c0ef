"""How much memory is used, how much may be, and what to do about it. Knows nobody above it."""
