"""What a call says and does: one readable function each."""
