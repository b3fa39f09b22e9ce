"""What ELIAS was worth, and whether its policies kept what was promised of them, from the ledger alone."""
