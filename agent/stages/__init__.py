"""The stages of a run: one verb a file, working on nouns and ports. They know neither the order they run in nor any vendor."""
