"""Ends the process at start."""

raise RuntimeError("this variant crashes at start")
