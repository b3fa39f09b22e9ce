"""How each kind of target is spoken to. A channel sends a message once and says what came of it."""
