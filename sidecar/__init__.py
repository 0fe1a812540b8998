"""Lestrade, the sidecar: judges, asks people, lends rights, performs, takes them back, keeps the record. Knows no agent."""
