"""Reports to where they were asked for: each at least once, each the same however often. Knows ports, not how people are met."""
