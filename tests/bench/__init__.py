"""How fast claims, imports, results and deliveries are on either database, and a reply's way."""
