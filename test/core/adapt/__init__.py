"""Adapts Bitcoin Core's test framework, from outside, to nodes that are karatd."""
