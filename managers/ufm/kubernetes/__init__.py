"""Kubernetes, for people who run it already: a source of nodes, and a place where a drain is carried out."""
