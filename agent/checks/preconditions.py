"""The words in which programs speak of what they need and do not find: data that they can read, migrations that are through,
libraries, an identity, kernel settings, servers that take writes. Data only."""

import re

from agent.checks.phrases import Saying

PRECONDITIONS = (
    Saying(
        cause="data-version-mismatch",
        pattern=re.compile(
            r"database files are incompatible with server|directory was initialized by \w+ version [\w.]+[^\n]{0,60}"
            r"|invalid featureCompatibilityVersion|cannot (?:start|downgrade) a? ?node [^\n]{0,80}version"
            r"|(?:upgrade|downgrade) (?:of the data dictionary )?from [^\n]{0,60} is not supported"
            r"|(?:data|index|storage)[^\n]{0,60}(?:written|created) (?:by|in|with) (?:a )?(?:newer|older|incompatible) version"
            r"|unsupported (?:data|storage|on-disk|index) (?:format )?version",
            re.I,
        ),
        needles=("incompatible", "initialized by", "featurecompatibilityversion", "cannot ", "grade", "version"),
        what="cannot read its own data: another version of the program wrote it",
        ends=True,
    ),
    Saying(
        cause="migration-failed",
        pattern=re.compile(
            r"migration checksum mismatch[^\n]{0,80}|migrations? (?:have )?failed (?:validation)?"
            r"|dirty database version \d+[^\n]{0,40}"
            r"|can't locate revision identified by [^\n]{0,60}|found non-empty schema[^\n]{0,80}|P30(?:09|18)\b[^\n]{0,80}"
            r"|detected failed migration to version|(?:pending|unapplied|failed) migrations?\b[^\n]{0,80}"
            r"|migration [\w.-]+ (?:has )?failed|error (?:running|applying) migrations?",
            re.I,
        ),
        needles=("migration", "dirty database", "locate revision", "non-empty schema", "p3009", "p3018"),
        what="stops at its database migrations",
        ends=True,
    ),
    Saying(
        cause="migration-lock-held",
        pattern=re.compile(
            r"could not acquire change ?log lock[^\n]{0,160}|migration (?:table )?(?:is )?(?:already )?locked[^\n]{0,80}"
            r"|(?:can't|could not|unable to) acquire [^\n]{0,60}(?:advisory|migration)[^\n]{0,20}lock|ConcurrentMigrationError",
            re.I,
        ),
        needles=("lock", "concurrentmigration"),
        what="waits in vain for the lock of its database migrations, which somebody holds or has left behind",
        by_release=False,
    ),
    Saying(
        cause="data-locked",
        pattern=re.compile(
            r"(?:un|not )able to (?:lock|acquire)[^\n]{0,60}(?:lock ?file|\.lock)|lock DB directory|DBPathInUse"
            r"|a server is already running[^\n]{0,80}|pid ?file [^\n]{0,80}already exists|another (?:\w+ )?(?:instance|process)"
            r" is (?:already )?(?:running|using)[^\n]{0,80}|failed to obtain (?:node )?locks?[^\n]{0,80}"
            r"|(?:failed|cannot|could not|unable) to (?:get|obtain|acquire|open) (?:an? |the )?"
            r"(?:exclusive )?(?:file )?lock on [^\n]{0,80}"
            r"|lock file [^\n]{0,80}(?:already exists|is held|in use)",
            re.I,
        ),
        needles=("lock", "already running", "pid", "dbpathinuse", "another"),
        what="finds its data in use: a lock or pid file says that another process has it, or was left by one that is gone",
        by_release=False,
        ends=True,
    ),
    Saying(
        cause="library-missing",
        pattern=re.compile(
            r"error while loading shared libraries: [\w.+-]+|version `(?:GLIBC|GLIBCXX|CXXABI)_[\d.]+' not found"
            r"|No module named '?[\w.]+'?|Cannot find (?:module|package) '[^'\n]{1,120}'|UnsupportedClassVersionError[^\n]{0,60}"
            r"|(?:ClassNotFoundException|NoClassDefFoundError): \S+|could not find or load main class \S+"
            r"|cannot load such file -- \S+|could not find (?:gem )?'?[\w-]+'? (?:\([^)]{0,40}\) )?in (?:any of )?(?:the )?"
            r"(?:sources|locally installed gems)|you must install or update \.NET|could not load file or assembly '[^',\n]{1,120}"
            r"|symbol lookup error|undefined symbol: \S+|Class [\"']?[\w\\]+[\"']? not found",
            re.I,
        ),
        needles=(
            "shared libraries",
            "not found",
            "no module named",
            "cannot find",
            "unsupportedclassversion",
            "classnotfound",
            "noclassdeffound",
            "main class",
            "such file",
            "could not find",
            "install or update",
            "load file or assembly",
            "symbol",
        ),
        what="needs a library or a runtime that its image does not hold, or not in that version",
        ends=True,
    ),
    Saying(
        cause="cloud-credentials-missing",
        pattern=re.compile(
            r"unable to locate credentials|NoCredentialProviders|could not (?:find|load) (?:the )?default credentials"
            r"|no EC2 IMDS role found|DefaultAzureCredential failed to retrieve a token"
            r"|could not load credentials from any providers"
            r"|failed to refresh cached credentials",
            re.I,
        ),
        needles=("credential", "imds role"),
        what="finds no credentials for its cloud: nothing lends its pods an identity",
    ),
    Saying(
        cause="node-setting-too-low",
        pattern=re.compile(
            r"vm\.max_map_count \[\d+\] is too low[^\n]{0,80}|max (?:file descriptors|number of threads) \[\d+\]"
            r"[^\n]{0,80}too low[^\n]{0,60}|system limit for number of file watchers reached"
            r"|inotify[^\n]{0,60}no space left on device"
            r"|(?:max_user_(?:watches|instances)|nr_open|pid_max|somaxconn)[^\n]{0,40}(?:reached|exceeded|is too low)",
            re.I,
        ),
        needles=("too low", "file watchers", "inotify", "max_user", "nr_open", "pid_max", "somaxconn"),
        what="needs a kernel setting of its node to be higher than it is",
        by_release=False,
    ),
    Saying(
        cause="server-refuses-writes",
        pattern=re.compile(
            r"OOM command not allowed[^\n]{0,60}|MISCONF Redis[^\n]{0,80}|READONLY You can't write[^\n]{0,40}"
            r"|flood[- ]?stage[^\n]{0,60}|read-only-allow-delete|in a read-only transaction|NotWritablePrimary|\bnot primary\b"
            r"|running with the --read-only|NOT_ENOUGH_REPLICAS|NotEnoughReplicas\w*|database is in read-only mode"
            r"|cluster_block_exception",
            re.I,
        ),
        needles=(
            "oom command",
            "misconf",
            "readonly",
            "read-only",
            "flood",
            "notwritableprimary",
            "not primary",
            "not_enough",
            "notenoughreplicas",
            "cluster_block",
        ),
        what="is told by its database or cache that it takes no writes",
        at_least=3,
        by_release=False,
    ),
    Saying(
        cause="server-limit-reached",
        pattern=re.compile(
            r"worker_connections are not enough|server reached (?:pm\.max_children|MaxRequestWorkers|MaxClients)[^\n]{0,60}"
            r"|(?:memory|disk) resource limit alarm set[^\n]{0,60}|publishers will be blocked",
            re.I,
        ),
        needles=("worker_connections", "server reached", "limit alarm", "publishers will"),
        what="has reached a limit of its own, and lets callers wait",
        by_release=False,
    ),
    Saying(
        cause="queries-too-slow",
        pattern=re.compile(
            r"canceling statement due to statement timeout|maximum statement execution time exceeded|MaxTimeMSExpired"
            r"|operation exceeded time limit|query (?:execution )?(?:was )?(?:interrupted|cancelled|canceled)[^\n]{0,40}time",
            re.I,
        ),
        needles=("statement", "maxtimems", "time limit", "query"),
        what="has queries that its database ends because they take too long",
        at_least=5,
    ),
    Saying(
        cause="queue-or-bucket-missing",
        pattern=re.compile(
            r"topic [\w.-]+ not present in metadata|UNKNOWN_TOPIC_OR_PARTITION|unknown topic or partition"
            r"|no (?:queue|exchange) '[\w.-]+' in vhost|NoSuchBucket|the specified bucket does not exist|NonExistentQueue"
            r"|stream [\w.-]+ not found|index_not_found_exception",
            re.I,
        ),
        needles=("topic", "vhost", "bucket", "nonexistentqueue", "stream", "index_not_found"),
        what="asks its server for a topic, queue, bucket or index that is not there",
        at_least=2,
    ),
    Saying(
        cause="model-not-served",
        pattern=re.compile(
            r"the model [`'\"][^`'\"\n]{1,120}[`'\"] (?:does not exist|is not (?:served|loaded))|lora[^\n]{0,80}not found", re.I
        ),
        needles=("the model", "lora"),
        what="is asked for a model or adapter that it does not serve",
        at_least=3,
        by_release=False,
    ),
)
