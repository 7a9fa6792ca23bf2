"""``make bench``: what a release costs, and what it costs with what people use instead, under the same load."""
