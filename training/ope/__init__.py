"""What another policy would have reached, estimated from what was logged."""
