"""What goes to a model, made harmless: secrets masked, text of the cluster fenced and labelled. Pure."""

from agent.signals.masking import mask, printable


def harmless(raw: str) -> str:
    """Secrets masked, control and direction characters as visible escapes."""
    return printable(mask(raw))


def fenced(raw: str, source: str, fence: str) -> str:
    """Text of the cluster between marks that it cannot know; `fence` is random for each run."""
    inside = raw.replace(fence, "[masked]")
    label = source.replace(fence, "").replace("\n", " ")
    return f"<<data {fence} from: {label}>>\n{inside}\n<<end {fence}>>"
