"""The library as a toolset: pages to read, by cause or alert. Text only; what a page does is done by the stages."""

from collections.abc import Sequence

from pydantic import Field

from agent.ports.toolset import PAGE, Arguments, Sighting, Tool, View, tool
from agent.runbooks.pages import Library


class WhichPage(Arguments):
    name: str = Field(description="slug of a cause or an investigation, or the name of an alert", min_length=1, max_length=120)


class RunbookEyes:
    name = "runbooks"
    why_off = ""

    def __init__(self, library: Library) -> None:
        self._library = library

    def tools(self, view: View) -> Sequence[Tool]:
        return (tool("runbook", "What the runbook says about a cause or an alert.", WhichPage, self._page),)

    async def _page(self, asked: WhichPage) -> Sighting:
        source = f"{PAGE}{asked.name}"
        page = self._library.pages.get(asked.name) or next(iter(self._library.for_alert(asked.name)), None)
        if page is None:
            return Sighting(source=source, missing="there is no such page")
        body = "\n\n".join(f"## {title}\n{words}" for title, words in page.sections.items())
        remedies = "\n".join(f"- {one.title or one.human}" for one in page.remedies)
        return Sighting(source=f"{PAGE}{page.path}", text=f"# {page.title}\n\n{body}\n\n## Remedies\n{remedies}".rstrip())
