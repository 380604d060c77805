"""A gateway without the world: an Asterisk made of memory, and time that jumps."""
