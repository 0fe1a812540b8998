"""What lies in a thread beside the message: the first chart as a picture, the whole report as a Markdown file."""

import asyncio

from agent.chat.slack.picture import picture
from agent.chat.slack.ports import Speaks
from agent.domain.report import Report
from agent.rendering import render


async def attach(slack: Speaks, channel: str, thread: str, report: Report) -> None:
    """Raises SlackUnavailable, SlackRefused. Where it is done twice, the files are there twice."""
    for chart in report.charts[:1]:
        drawn = await asyncio.to_thread(picture, chart)
        if drawn is not None:
            await slack.file(channel, thread, f"{report.run}.png", f"{chart.title} ({chart.unit})"[:200], drawn)
    text = await asyncio.to_thread(render, report, "md")
    await slack.file(channel, thread, f"{report.run}.md", f"Report of {report.run}", text.encode())
