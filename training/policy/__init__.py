"""The small policy: its words, its network, how it is trained, and what is kept of it."""
