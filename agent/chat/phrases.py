"""How people put what they say in a conversation: patterns over one line of lower-case words. Data only.

Whatever is to act has to be said in full: a pattern for acting matches the whole line or nothing.
"""

import re

_POLITE = (
    r"(?:(?:please|pls|can you|could you|would you|now|then|ok(?:ay)?|yes|yeah|yep|sure|good|great|well|so|and|but|just|let'?s)"
    r"[ ,]+)*"
)
_AFTER = r"(?:[ ,]+(?:please|pls|now|then|for me|thanks|thank you))*"
_IT = (
    r"(?:it|this|that|them|these|the (?:plan|fix|remedy|change|changes|problem|issue|fault|repair|suggestion|"
    r"suggested (?:plan|fix|remedy)))"
)
_FIX = r"(?:fix|repair|mend|heal|solve|resolve|remediate|remedy)"


def whole(*ways: str) -> re.Pattern[str]:
    """One of these ways, with words of courtesy around it, and nothing else."""
    return re.compile(rf"^{_POLITE}(?:{'|'.join(ways)}){_AFTER}$")


REPAIR = whole(
    rf"{_FIX}(?: {_IT})?",
    rf"(?:apply|do|execute|perform|carry out|try|propose|submit|run|use|start|make) {_IT}",
    r"apply|proceed|go for it|make it so",
    rf"go ahead(?: (?:and|with) (?:{_FIX} )?{_IT})?",
    r"(?:propose|submit|make) (?:a |the )?(?:fix|plan|remedy|repair)",
)
REPAIR_NAMED = re.compile(rf"^{_POLITE}(?:fix|repair|remediate) (?:the |our |my )?(?P<what>[a-z0-9].*)$")
REQUEST = re.compile(r"^(?:(?:please|and|now|so|ok(?:ay)?)[ ,]+)*(?:can|could|would|will) you\b")  # a question that is none
CONSENT = whole(r"yes|yeah|yep|sure|do so")  # only where a repair was offered just now
REFRAIN = re.compile(
    r"^(?:please )?(?:no,? )?(?:do not|don'?t|never|stop|cancel|abort|wait|hold on)\b(?!.*\b(?:why|what|how|who|know)\b)"
)
COMMAND = re.compile(
    rf"^{_POLITE}(?:roll (?:it|this|that|them) back|(?:turn|switch|shut|take) (?:it|this|that|them)|restart|delete|scale|"
    r"roll ?back|drain|cordon|uncordon|kill|evict|patch|edit|upgrade|downgrade|deploy|redeploy|remove|increase|"
    r"decrease|raise|lower|set|change|create|silence|kubectl|helm|approve|undo|revert)\b"
)

_TIME = r"(?P<time>half an hour|an? (?:hour|day)|\d{1,4} ?(?:m|mins?|minutes?|h|hours?))"
SILENCE = whole(
    rf"(?:silence|mute|snooze) (?:{_IT}|(?:all )?(?:the |its |their |these |this )?(?:alerts?|noise))(?: for {_TIME})?",
)

WHY = whole(
    r"why(?: so| is that| that| is it)?|how come",
    r"why (?:did|does|is|has) (?:it|this|that) (?:happen|happened|happening|so)",
    r"what(?:'s| is| was) the (?:root )?(?:cause|reason)(?: (?:of|for) (?:it|this|that))?",
    r"explain(?: (?:it|this|that|why|more|yourself|further))?|tell me more|more|(?:more )?(?:details?|info(?:rmation)?)",
)
EVIDENCE = whole(
    r"(?:how|why) (?:do|can) you (?:know|tell|say)(?: (?:that|this|it|so))?",
    r"what makes you (?:say|think)(?: (?:that|this|so))?|are you (?:sure|certain)|prove (?:it|that)|says who",
    r"(?:show|give|list)?(?: ?me)?(?: ?(?:the|your|all))? ?(?:evidence|proof|facts)",
    r"what (?:is|are) (?:that|this|it|you) (?:based|basing (?:that|this|it)) on",
)
RULED_OUT = whole(
    r"what (?:else )?(?:did|have|do) you (?:ruled? out|excluded?|consider(?:ed)?|check(?:ed)?|look(?:ed)? at)",
    r"what (?:was|is) ruled out|(?:could|can|might) it be (?:something|anything) else|anything else",
    r"what else(?: (?:could|might) it be)?",
)
NOT_SEEN = whole(
    r"what (?:could|did|can)(?:n'?t| not) (?:you|be) (?:seen?|read|looked at)",
    r"what (?:could|did|can) you not (?:see|read|look at)",
    r"what (?:is|was) (?:missing|not seen|unknown)|what (?:don'?t|do) you (?:not )?(?:know|see)",
)
PLAN = whole(
    r"(?:how|what) (?:do|can|should|would|could) (?:i|we|you|one)(?: do)?(?: (?:now|next))?(?: (?:about|with|against) "
    rf"(?:it|this|that))?(?: {_FIX} {_IT})?(?: now)?",
    rf"how to {_FIX} {_IT}|what to do(?: now| next)?(?: about (?:it|this|that))?",
    r"how (?:can|could|should) (?:it|this|that) be (?:fixed|repaired|solved|mended)",
    r"(?:show|give|tell)(?: me)?(?: the| your)? (?:plan|fix|remedy|solution|runbook|diff|suggestion)",
    r"what(?:'s| is| would be) (?:the|your) (?:plan|fix|remedy|solution|suggestion|next step)",
    r"what (?:do you|would you) (?:suggest|propose|recommend|advise|do)|next steps?|now what|what now|what next",
)
REPORT = whole(
    r"(?:(?:show|give|send|print|where is)(?: me)? )?(?:(?:the|a|your|full) )*(?:report|write-?up|post-?mortem)",
)
_HOW_IT_IS = (
    r"fixed|repaired|solved|resolved|gone|better|over|done|back|ok|okay|healthy|fine|up|well|working|running|ready|good|broken|"
    r"failing|down|bad|there|happening|crashing|all right|alright"
)
RECHECK = whole(
    rf"(?:is|are|was) (?:it|that|this|they|the (?:problem|issue|fault)) (?:(?:now|still|all|really) )*(?:{_HOW_IT_IS})"
    r"(?: (?:now|again|already|yet))*",
    r"did (?:it|that|this) (?:work|help)|has (?:it|that) (?:worked|helped|recovered|healed)",
    r"(?:check|look|try|test|verify)(?: (?:it|that|this))? (?:again|once more|now)|check(?: it)?",
    r"(?:(?:what|how) (?:about )?)?now|again|still (?:broken|failing|down|bad|crashing|there)",
    r"how (?:is|are) (?:it|that|this|they|things)(?: doing| going| looking)?(?: now)?",
    r"(?:any )?(?:status|news|updates?|progress)(?: (?:of|on) (?:it|that|this))?",
    r"what(?:'s| is) (?:the|its) (?:status|state|progress)(?: (?:of|on) (?:it|that|this))?(?: now)?",
)
_ARTICLES = r"(?: ?(?:the|its|their|some|all|last|latest|recent|current|full|pod|container|kubernetes|k8s))*"
READ = re.compile(
    rf"^{_POLITE}(?:(?:show|give|get|print|see|tail|display|read|fetch|dump|list|view)(?: me)?|what (?:do|does|did)|"
    rf"(?:what|how) about|what(?:'s| is| are) in|any|and)?{_ARTICLES}(?P<previous> ?previous)?(?: ?\d+)?(?: ?lines?)?(?: ?of)?"
    rf"{_ARTICLES}(?P<previous2> ?previous)? ?(?P<what>logs?|log lines|events?)(?: (?:say|tell|show)(?: us| me)?)?"
    rf"(?: (?:of|from|for|in|about) (?:the )?(?P<whose>.+?))?{_AFTER}$"
)

GREETING = whole(
    r"(?:hi|hello|hey|hallo|moin)(?: there| lestrade)?|good (?:morning|evening|afternoon|day)|ping",
)
HELP = whole(
    r"help|what can (?:you|i) (?:do|ask|say)(?: here| you)?|how (?:do|can) (?:i|you) (?:use|work)(?: (?:you|this|it))?",
    r"(?:who|what) are you|\?|commands?",
)
THANKS = whole(
    r"thanks?(?: you)?(?: (?:a lot|very much|so much))?|thx|ty|cheers|perfect|nice|cool|great|awesome|got it|ok(?:ay)?|good|no",
    r"nope|nothing|never ?mind|bye|that'?s all",
)

# "it" and its like stand for the subject; "there" for its namespace. "it" is no subject where it only fills a place.
FILLS = re.compile(
    r"\b(?:is|would|was|will) it (?:be )?(?:safe|ok|okay|fine|possible|bad|wise|necessary|normal|true|better) (?:to|if|that)\b"
)
PRONOUN = re.compile(
    r"\b(?:it|this one|that one|they|them|the same(?: one)?|(?:this|that|the|these|those)(?: same)? (?:pods?|deployment|service|"
    r"workload|app(?:lication)?|statefulset|daemonset|job|cronjob|node|container|thing|one)|this|that)\b(?! (?:namespace|ns)\b)"
)
OWN = re.compile(r"\b(?:its|their) (?:own )?(?P<word>[a-z][a-z-]*)")
THERE = re.compile(
    r"\b(?:(?:in|over|up) )?there\b|\b(?:in|from|for|of) (?:this|that|the same|the) (?:namespace|ns)\b|\bhere\b",
)
THERE_IS = re.compile(r"\b(?:is|are|was|were|isn't|aren't) there\b|\bthere(?:'s| is| are| was| were)\b")
EVERYWHERE = re.compile(
    r"\b(?:everything|anything|anywhere|everywhere|cluster|all|every|whole|overall|namespaces?|nodes?|platform|else)\b",
)
AND = re.compile(
    r"^(?:(?:and )?(?:what|how) about|and|same for|same with|same|also|what of|ok,? and|but)[ ,]+(?P<rest>.+)$",
)
ASKING = re.compile(
    r"^(?:what|who|whose|why|how|is|are|was|were|does|do|did|can|could|may|which|when|where|show|any|has|have|list|tell|will|would)\b"
)
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}
CHOICE = re.compile(r"^(?:the |number |no\.? ?|option |#)*(?P<which>\d{1,2}|[a-z0-9]+)(?: one)?(?: please)?$")
CHOICE_IN = re.compile(
    r"^(?:the )?(?:one )?(?:in|from|of) (?:the )?(?:namespace )?(?P<space>[a-z0-9][-a-z0-9]*)(?: namespace)?$",
)

# What belongs to a workload, and how it is told: words of names and images, and ports.


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STORES = {
    "database": _words(
        """
        postgres pg pgsql postgresql cnpg mysql mariadb percona mongo mongodb cassandra scylla cockroach cockroachdb yugabyte
        couchdb couchbase oracle mssql sqlserver clickhouse influxdb timescale timescaledb elasticsearch opensearch neo4j db
        database sql dynamodb tidb vitess rethinkdb surrealdb
        """
    ),
    "cache": _words("redis memcached memcache valkey keydb dragonfly hazelcast varnish cache ehcache garnet"),
    "queue": _words(
        "kafka rabbitmq nats pulsar activemq artemis redpanda mosquitto queue broker mq amqp celery beanstalkd jetstream emqx"
    ),
}
STORE_WORDS = {
    "database": "database", "db": "database", "databases": "database", "datastore": "database", "sql": "database",
    "cache": "cache", "redis": "cache", "queue": "queue", "broker": "queue", "kafka": "queue", "bus": "queue",
}  # fmt: skip
PORTS = {
    "database": frozenset({5432, 3306, 27017, 9042, 26257, 1433, 1521, 5984, 8123, 9200, 7687}),
    "cache": frozenset({6379, 11211, 5701}),
    "queue": frozenset({9092, 5672, 4222, 6650, 61616, 1883}),
}
