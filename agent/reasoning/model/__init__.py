"""The language model as a reasoner on a leash: what it is told, what of its answer is believed, and what it may cost.

Only `client` knows a vendor; everything else is plain data and pure functions.
"""
