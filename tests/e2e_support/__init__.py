"""The five services as processes, against the lab's Asterisk."""
