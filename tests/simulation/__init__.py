"""Campaigns over a virtual clock, judged by what reaches the trunk."""
