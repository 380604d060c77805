"""What the reporter's tests share: a real web server, a real dialer contract, reports, time."""
