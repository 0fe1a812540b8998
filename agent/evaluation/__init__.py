"""How well incidents are answered: recordings and their truth, copies, variants. Knows no laboratory and no terminal."""
