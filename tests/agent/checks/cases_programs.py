"""What programs say of themselves: one line of each."""

from tests.agent.builders import app
from tests.agent.checks.cases import World, case
from tests.agent.checks.logbooks import repeated

LINES = {
    "process-limit-reached": "sh: fork: retry: Resource temporarily unavailable",
    "heap-exhausted": "ERROR java.lang.OutOfMemoryError: Java heap space",
    "too-many-open-files": "accept4: too many open files",
    "database-schema-mismatch": 'ERROR: column "discount_code" does not exist',
    "database-locks": "ERROR: deadlock detected",
    "rate-limited-by-peer": "ERROR GET https://api.maps.example.com/geo: 429 Too Many Requests",
    "file-permission-denied": "ERROR open /data/index/lock: permission denied",
    "configuration-invalid": "FATAL failed to parse config: yaml: line 7: did not find expected key",
}


def saying(line: str) -> World:
    objects = app("web", minutes=600)
    return objects, [repeated(objects[2], line)]


for _cause, _line in LINES.items():
    case(_cause, "Deployment/web")(lambda line=_line: saying(line))
