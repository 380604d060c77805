"""A real Asterisk without containers, and a phone network that is simulated by SIPp."""
