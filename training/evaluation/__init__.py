"""How good a policy is, as results that are kept and compared."""
