"""Policies compete at each decision point; who is better than the champion there is proposed in its place."""
