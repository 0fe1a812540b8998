"""The agent's own Slack app: questions in, answers and alert threads out. The agent's only door to slack_*; it approves nothing.

Importing the package imports nothing of Slack: `app.open_slack` does, and only where Slack is configured.
"""
