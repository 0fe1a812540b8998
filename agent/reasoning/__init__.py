"""From what was seen to one cause: focus, ranking, and the offline reasoner."""
