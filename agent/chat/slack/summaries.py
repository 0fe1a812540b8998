"""A report or a weekly summary in a channel that asked for them. Pure."""

from agent.chat.slack import blocks as kit
from agent.chat.slack.answer import answered
from agent.chat.slack.blocks import Message
from agent.chat.slack.text import notification
from agent.chat.slack.threads import page_of
from agent.chat.slack.words import blocks_of
from agent.delivery.paper import Paper
from agent.domain.report import Report


def report_message(report: Report, *, public_url: str) -> Message:
    return answered(report, url=page_of(public_url, report.run))


def summary_message(paper: Paper) -> Message:
    """Its beginning; the whole is the file in its thread."""
    body = paper.form("md").partition("\n")[2]  # the title is the header
    blocks = kit.within([kit.header(paper.title)], blocks_of(body), [kit.context("The whole is the file in this thread.")])
    return Message(text=notification(paper.title), blocks=blocks)
