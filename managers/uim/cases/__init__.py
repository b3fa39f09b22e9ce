"""The cases: decisions that wait for a person, in groups of alike ones; who has them, and who hears of them when."""
