"""`elias demo-learning`: a world that changes under ELIAS, which notices, learns, tries and promotes."""
