"""Clusters that somebody else runs, such as one of Slurm: what is the same for all of them."""
