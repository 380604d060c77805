"""An Asterisk for load: ARI over HTTP and the events WebSocket, and people who follow a script.

It sends what a real Asterisk 22 sends in a normal call, in the same order, for a thousand calls at
once on one core. No audio flows, and little goes wrong: what is correct is judged on the real one.
"""
