"""The prompts: their texts and recordings, and how they get to where Asterisk plays them."""
