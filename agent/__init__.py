"""Lestrade, the agent: reads, thinks, proposes, asks the sidecar. Holds no credential that writes."""
