"""Jobs that run at another cluster, and jobs of other clusters that run here."""
