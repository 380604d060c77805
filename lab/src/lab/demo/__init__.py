"""The demo: a small campaign on a real Asterisk, judged contact by contact."""
