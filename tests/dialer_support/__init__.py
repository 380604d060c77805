"""What the dialer's tests share: a hand-held clock, a database, a gateway and a panel."""
