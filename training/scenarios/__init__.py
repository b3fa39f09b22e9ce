"""The simulated cluster: questions that the specs leave open, and what would come of each answer."""
