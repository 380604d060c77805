"""Audio in, text out; text in, audio out."""
