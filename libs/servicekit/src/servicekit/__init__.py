"""What every Salehi service does the same way, so that none does it twice."""
