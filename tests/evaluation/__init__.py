"""What callers' replies are understood as, by filter chain, noise and voice."""
