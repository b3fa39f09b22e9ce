"""What the managers decided, as examples to learn from."""
