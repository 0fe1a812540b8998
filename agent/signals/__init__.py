"""Signals from text and numbers: logs, metrics, changes. Pure; they name no cause."""
