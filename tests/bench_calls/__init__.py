"""What a call costs: the gateway against a simulated ARI, and five services beside Asterisk."""
