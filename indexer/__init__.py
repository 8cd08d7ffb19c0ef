"""From a path to rows, from a question to hits."""
