"""Fakes: full citizens, one per port, with state that tests can look at."""
