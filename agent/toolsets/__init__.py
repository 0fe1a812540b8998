"""Eyes, read only: each file reads one kind of source and knows one vendor."""
