"""How each kind of target is spoken to. A channel sends one letter once and says what came of it."""
