"""Prometheus, for people who measure their nodes already: what it says of a node are facts about it."""
