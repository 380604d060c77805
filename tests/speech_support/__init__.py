"""What the tests of the speech service share."""
