"""What Slack takes, and what nobody outside may make of our messages."""

import json
import re

ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")
OURS = "https://lestrade.example/"


def is_within_limits(blocks) -> None:
    assert len(blocks) <= 50
    assert len(json.dumps(list(blocks))) <= 13_000
    for block in blocks:
        if block["type"] == "header":
            assert len(block["text"]["text"]) <= 150
        if block["type"] == "context":
            assert 1 <= len(block["elements"]) <= 10
        for node in nodes(block):
            if isinstance(node.get("text"), str):
                assert 1 <= len(node["text"]) <= 3000
                is_harmless(node["text"])
                assert node["type"] in ("plain_text", "text", "link"), "nothing of others is markup"
            if node.get("type") == "link":
                assert node["url"].startswith(OURS), "only links of our own making"
            assert node.get("type") not in ("user", "usergroup", "broadcast", "channel", "emoji", "mrkdwn", "image")


def nodes(node):
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from nodes(item)


def is_harmless(text: str) -> None:
    assert "<" not in text
    assert ">" not in text
    assert not ENTITY.search(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b]", text)
