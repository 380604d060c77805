"""How fast claims, imports, results and deliveries are on either database."""
