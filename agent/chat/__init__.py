"""Conversations: what a follow-up refers to, what a turn comes to, and who listens while it is worked on.

Knows the workshop; knows no HTTP and no terminal. Whoever speaks with people (service, terminal, Slack, MCP) uses
`agent.chat.conversation.Conversations`.
"""
