"""What is wanted by the words of a question: a cause, a list, a time, rights, consequences ... Data and one choice among them.

Careful: what is not clearly one of the other intents is a "why", because looking for a cause answers most questions.
"""

import re

from agent.domain.question import Intent

ACTING = (
    r"(?:delet|remov|restart|drain|cordon|stop|kill|scal|roll|evict|chang|edit|updat|upgrad|reboot|los|shut|take|tak|turn|switch|"
    r"unplug|renam|mov)\w*"
)
_ACCESS = (
    re.compile(
        r"\bwho(?:'s| is)? (?:can|may|could|has (?:the )?(?:rights?|permissions?|access)|have (?:access|rights?)|"
        r"(?:is )?(?:allowed|able|permitted) to)\b"
    ),
    re.compile(
        r"\b(?:which|what) (?:users?|people|groups?|(?:service ?)?accounts?|subjects?|roles?|teams?)\b.{0,20}\b(?:can|"
        r"may|could|have|has|are allowed|is allowed)\b"
    ),
    re.compile(r"\bwhat (?:can|may|could|is|are)\b.{1,80}\b(?:do|access|allowed to(?: do)?)\s*(?:in\b.*)?[?.!]*$"),
    re.compile(r"\b(?:can|may|could|is|are) (?:the )?(?:service ?account|user|group|sa) "),
    re.compile(
        r"^(?:can|may|could|is|are) (?:the )?[a-z0-9][-a-z0-9.:]* (?:sa|service ?account|user|group) "
        r"(?:allowed to |able to )?(?:read|get|list|watch|create|delete|patch|update|edit|exec|see|view)\b"
    ),
    re.compile(
        r"^(?:can|may) (?!i\b|we\b|you\b|somebody\b|anybody\b|anyone\b|it\b)[a-z0-9][-a-z0-9.:]* "
        r"(?:read|get|list|watch|create|delete|patch|update|edit|exec|see|view) (?:into )?\w+"
    ),
    re.compile(r"\b(?:rights|permissions|privileges) (?:of|does|do|has|have)\b|\bwho has (?:cluster-?)?admin\b"),
)  # fmt: skip
_IMPACT = (
    re.compile(
        r"\b(?:would|will|could|might) (?:be |get )?(?:affected|impacted|broken|break|hit|fail|happen|stop|"
        r"suffer|go down|lose)\b"
    ),
    re.compile(
        r"\bwhat (?:else )?(?:happens|breaks|fails|stops|dies|is affected|gets hit|goes down|suffers)\b.{0,20}\b(?:if|"
        r"when|without|once)\b"
    ),
    re.compile(
        r"\b(?:what|who|which [\w-]+|anything|anyone|something|does anything) (?:else )?(?:still )?(?:depends?|"
        r"rel(?:y|ies)) (?:up)?on\b"
    ),
    re.compile(
        r"\b(?:what|who|which [\w-]+) (?:else )?(?:uses?|calls?|consumes?|mounts?|needs?|(?:talks?|connects?|speaks?) to"
        r"|is using|are using|(?:is|are) (?:calling|talking to))\b(?! "
        r"(?:so much|(?:the )?more|(?:the )?most|too|all|up))"
    ),
    re.compile(
        r"\bblast radius\b|\bdepend(?:s|ents|encies) (?:on|of)\b|\b(?:is|would) it (?:be )?(?:safe|ok|okay|"
        r"fine) (?:to|if)\b"
    ),
    re.compile(rf"\b(?:can|may|could|should) (?:i|we) (?:safely )?{ACTING}\b"),
    re.compile(r"\bwhat (?:else |pods |workloads )?(?:runs?|is running|are running|are|is|sits?|lives?) on\b"),
    re.compile(
        r"\b(?:impact|effect|consequences?) of (?:a |the )?(?:loss|losing|delet\w+|remov\w+|restart\w+|drain\w+|"
        r"failure|outage)\b"
    ),
)  # fmt: skip
_NEEDS = (
    re.compile(r"\bwhat (?:else )?(?:does|do) .{1,60}\b(?:depends?|rel(?:y|ies)) (?:up)?on\b"),
    re.compile(r"\bwhat (?:else )?(?:does|do) .{1,60}\b(?:calls?|uses?|needs?|talks? to|connects? to|reads?|mounts?)\W*$"),
    re.compile(r"\b(?:dependencies|upstreams?) of\b"),
)
_CHANGED = (
    re.compile(
        r"\bwhat(?:'s| is| has| was| have| were| all)? (?:been )?(?:chang|different|new\b|deployed|rolled "
        r"out|released|updated|edited|modified)"
    ),
    re.compile(r"\b(?:who|what) (?:has |have )?(?:chang|edit|deploy|modif|touch|scal|updat|delet)(?:ed)\b"),
    re.compile(
        r"\b(?:which|any|list(?: the| all)?|show(?: me)?(?: the| all)?|recent|latest|last|w(?:as|ere) there(?: an?y?)?|"
        r"when was(?: the)?) (?:recent |latest |last )?(?:changes?|deploy(?:ment)?s?|rollouts?|releases?|edits|"
        r"updates|last change)\b"
    ),
    re.compile(
        r"\b(?:did|has|have) (?:anything|something|sth|smth|anyone|somebody|someone|anybody)\b.{0,20}\b(?:chang|deploy|"
        r"edit|touch|modif)"
    ),
    re.compile(
        r"\b(?:when|how long ago) (?:was|were|did) .{1,60}\b(?:deployed|changed|rolled out|updated|scaled|edited|released)\b|"
        r"\bchange ?log\b"
    ),
)  # fmt: skip
_HEALTH = (
    re.compile(
        r"\b(?:is|are) .{1,80}\b(?:healthy|ok|okay|fine|well|up|alive|ready|running|working|broken|down|degraded|"
        r"all right|alright|in order)\b"
    ),
    re.compile(
        r"\bis (?:something|anything|everything|all)\b|\bhow (?:is|are|healthy)\b|\b(?:health|status|state|"
        r"condition) (?:of|check)\b"
    ),
    re.compile(r"\bdoes .{1,60}\bwork\b|\b(?:anything|something) (?:wrong|broken)\b"),
)  # fmt: skip
_WHY = re.compile(r"\bwhy\b|\bwhat(?:'s| is) (?:the )?(?:cause|reason|wrong|broken|going on)\b|\broot cause\b|\bhow come\b")
_THINGS = (
    r"(?:pods?|deployments?|workloads?|stateful ?sets?|daemon ?sets?|nodes?|cron ?jobs?|jobs?|services?|apps?|applications?|"
    r"containers?|replicas?|pvcs?|claims?|volumes?)"
)
_STATES = (
    r"(?:fail\w*|restart\w*|crash\w*|pending|not ready|unready|down|broken|stuck|unhealthy|evicted|unschedulable|ill|bad|oom\w*|"
    r"terminating|in trouble|not running|not scheduled|dying|dead|cordoned|suspended|scaled to (?:0|zero)|affected|red)"
)
_WHICH = (
    re.compile(rf"\b(?:which|what|how many|list|show|give|name)\b.{{0,24}}\b{_THINGS}\b.{{0,24}}\b{_STATES}\b"),
    re.compile(rf"\b(?:which|what|how many|list|show|give|name)\b.{{0,24}}\b{_STATES} {_THINGS}\b"),
    re.compile(rf"\b(?:are|is|were) there (?:any |some |still |more )*{_STATES} {_THINGS}\b|\bany {_STATES} {_THINGS}\b"),
    re.compile(r"\b(?:any|how many) (?:oom(?:[ -]?kill(?:s|ed)?)?|evictions?|restarts|crashes)\b"),
)
_STARTED = (
    r"(?:start|begin|beg[au]n|br[eo]ak|broke|broken|fail|crash|stop|go (?:down|bad|wrong)|g[oe]t (?:slow|bad|worse|stuck|broken)|"
    r"die|happen|occur|become|turn|hang|go(?:es|ne|ing)?\b)"
)
_WELL = r"(?:healthy|ok|okay|fine|well|working|up|ready|good|green|seen)"
_DEPLOYED = r"(?!.*\b(?:deployed|changed|released|updated|edited|scaled|rolled out)\b)"
_WHEN = (
    re.compile(
        r"\bwhen (?:did|(?:has|have|was|were)(?!.{0,80}\b(?:deployed|changed|released|updated|edited|scaled|rolled out)\W*$))\b"
        rf".{{0,80}}\b{_STARTED}\w*"
    ),
    re.compile(rf"\bwhen (?:was|were|did)\b.{{0,60}}\blast (?:be(?:en)? )?{_WELL}\b"),
    re.compile(rf"\b(?:since when|for how long|how long ago|how long (?:has|have|is|are|was|were|did))\b{_DEPLOYED}"),
    re.compile(r"\bwhat (?:happened|broke|failed|came|went wrong|died|stopped|started it|was) (?:it )?first\b"),
    re.compile(r"\bfirst (?:error|failure|symptom|sign|warning|event)s?\b|\bchronological"),
    re.compile(r"(?<![-\w])(?:time ?line|chronology|onset)(?: (?:of|for)\b|(?: please)?[?.!]*$)"),  # may be a program's name, too
    re.compile(r"\b(?:at )?what time (?:did|was|were|has)\b|\bstart(?:ing)? time\b|\bin what order\b"),
    re.compile(r"\bwhich (?:one )?(?:broke|failed|came|went down) first\b"),
)
_RUNS = (
    re.compile(
        r"\b(?:which|what) (?:exact )?(?:version|image|tag|release|revision|build)s?\b"
        r"(?!.{0,40}\b(?:fail|broke|break|crash|caus|introduc|error|slow|culprit|changed|wrong|why|pull|cannot|can't|not|missing))"
    ),
    re.compile(r"\b(?:version|image|tag) (?:of|does|do|is)\b.{1,60}\b(?:run|runs|running|use|uses|deployed|live)\b"),
)
_OWNER = (
    re.compile(r"\bwho (?:owns|maintains|is responsible for|runs the team|looks after|is (?:on[- ]?call|the owner|in charge))\b"),
    re.compile(
        r"\b(?:which|what) team (?:owns|runs|maintains|is)\b|\bowners? of\b|\bwhose (?:is|service|app|pod|deployment|namespace)\b"
    ),
    re.compile(
        r"\bwho (?:do|should|can|must) (?:i|we) (?:page|call|ask|contact|ping|wake|tell|notify|reach|escalate to|talk to)\b"
    ),
)


def intent_of(low: str) -> Intent:
    """`low`: the question in lower case, its contractions written out."""
    asks_why = _WHY.search(low) is not None and not low.startswith(("when ", "since when"))
    if not asks_why and any(one.search(low) for one in _OWNER):
        return "owner"
    if any(one.search(low) for one in _ACCESS) and not re.search(r"\bcan(?:not|'t)\b", low):
        return "access"
    if asks_why:
        return "why"
    changes = "chang" in low and any(one.search(low) for one in _CHANGED)  # "list the changes of pods that fail"
    for patterns, intent in _IN_TURN:
        if intent == "which" and changes:
            continue
        if any(one.search(low) for one in patterns):
            return intent
    return "why"


_IN_TURN: tuple[tuple[tuple[re.Pattern[str], ...], Intent], ...] = (
    (_NEEDS, "needs"),
    (_IMPACT, "impact"),
    (_WHEN, "when"),
    (_WHICH, "which"),
    (_CHANGED, "changed"),
    (_RUNS, "runs"),
    (_HEALTH, "health"),
)
