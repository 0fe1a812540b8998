"""Approvals through Slack: cards out, clicks in. The sidecar's only door to slack_*; knows no use case, only its ports.

Importing the package imports nothing of Slack: `channel.open_channel` does, and only where Slack is configured.
"""
