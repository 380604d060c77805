"""Live calls: legs, verbs, outcomes, and who owns them."""
