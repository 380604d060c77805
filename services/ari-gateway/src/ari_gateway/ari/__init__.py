"""Asterisk's REST interface: requests over HTTP, events over a WebSocket."""
