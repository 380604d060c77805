"""The only service that talks to Asterisk."""
