"""Ages as `kubectl get` shows them."""

from datetime import UTC, datetime

from lab.clock import LabClock


def age_of(text: str | None, clock: LabClock) -> str:
    """Of a metav1.Time against lab time; "<unknown>" without one."""
    if not text:
        return "<unknown>"
    then = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
    return human(int((clock.now() - then).total_seconds()))


def human(seconds: int) -> str:
    """duration.HumanDuration of k8s.io/apimachinery."""
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = seconds // 3600
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years = days // 365
    return f"{years}y{days % 365}d" if years < 8 and days % 365 else f"{years}y"
