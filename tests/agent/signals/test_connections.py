"""Who could not be reached, in the words of the runtimes, drivers and proxies of many languages."""
# ruff: noqa: E501  (what a program says stays in one line)

from agent.signals.connections import connection_troubles, target_of

SAID = [
    (
        'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 10.96.1.2:50051: i/o timeout"',
        ("10.96.1.2", 50051, "timeout"),
    ),
    (
        "It was not possible to connect to the redis server(s). Error connecting right now. To allow this multiplexer to continue retrying until it's able to connect, use abortConnect=false. UnableToConnect on redis-cart:6380/Interactive, Initializing/NotStarted, last: NONE",
        ("redis-cart", 6380, "refused"),
    ),
    (
        "[Producer clientId=p-1] Connection to node -1 (kafka/10.96.0.5:9092) could not be established. Broker may not be available.",
        ("kafka", 9092, "refused"),
    ),
    (
        "[ERROR/MainProcess] consumer: Cannot connect to amqp://guest:**@rabbitmq:5672//: [Errno 111] Connection refused.",
        ("rabbitmq", 5672, "refused"),
    ),
    ("MongoServerSelectionError: connect ECONNREFUSED 10.96.3.4:27017", ("10.96.3.4", 27017, "refused")),
    (
        "org.postgresql.util.PSQLException: Connection to orders-db:5432 refused. Check that the hostname and port are correct",
        ("orders-db", 5432, "refused"),
    ),
    ("redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused.", ("redis", 6379, "refused")),
    (
        'psycopg2.OperationalError: could not connect to server: Connection refused\tIs the server running on host "db" (10.96.0.4) and accepting TCP/IP connections on port 5432?',
        ("db", 5432, "refused"),
    ),
    (
        'psycopg2.OperationalError: connection to server at "db" (10.96.0.4), port 5432 failed: Connection refused',
        ("db", 5432, "refused"),
    ),
    (
        "requests.exceptions.ConnectionError: HTTPConnectionPool(host='cart', port=7070): Max retries exceeded with url: /cart (Caused by NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused'))",
        ("cart", 7070, "refused"),
    ),
    (
        "requests.exceptions.ReadTimeout: HTTPConnectionPool(host='cart', port=7070): Read timed out. (read timeout=5)",
        ("cart", 7070, "timeout"),
    ),
    (
        "urllib3.exceptions.MaxRetryError: HTTPSConnectionPool(host='pay.example.com', port=443): Max retries exceeded with url: / (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)')))",
        ("pay.example.com", 443, "tls"),
    ),
    (
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:10.96.4.5:50051: Failed to connect to remote host: Connection refused",
        ("10.96.4.5", 50051, "refused"),
    ),
    (
        '2026/11/20 10:00:00 [error] 29#29: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 10.244.0.1, server: , request: "GET / HTTP/1.1", upstream: "http://10.96.2.3:8080/", host: "shop.local"',
        ("10.96.2.3", 8080, "refused"),
    ),
    (
        '2026/11/20 10:00:00 [error] 29#29: *5 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 10.244.0.1, server: _, request: "GET /api HTTP/1.1", upstream: "http://api:8080/api", host: "shop.local"',
        ("api", 8080, "timeout"),
    ),
    (
        '2026/11/20 10:00:00 [emerg] 1#1: host not found in upstream "catalogue" in /etc/nginx/conf.d/default.conf:12',
        ("catalogue", 0, "dns"),
    ),
    (
        "Error: getaddrinfo ENOTFOUND user-db at GetAddrInfoReqWrap.onlookup [as oncomplete] (node:dns:109:26)",
        ("user-db", 0, "dns"),
    ),
    ("Error: getaddrinfo EAI_AGAIN cart-redis cart-redis:6379", ("cart-redis", 6379, "dns")),
    ("java.net.UnknownHostException: orders-db: Name or service not known", ("orders-db", 0, "dns")),
    ("io.grpc.StatusRuntimeException: UNAVAILABLE: Unable to resolve host adservice", ("adservice", 0, "dns")),
    (
        "io.netty.channel.AbstractChannel$AnnotatedConnectException: Connection refused: payment/10.96.7.7:8443",
        ("payment", 8443, "refused"),
    ),
    ("System.Net.Http.HttpRequestException: Connection refused (catalog-api:8080)", ("catalog-api", 8080, "refused")),
    ("System.Net.Http.HttpRequestException: Name or service not known (basket-api:8080)", ("basket-api", 8080, "dns")),
    (
        "SQLSTATE[HY000] [2002] Connection refused (Connection: mysql, Host: mysql, Port: 3306, SQL: select 1)",
        ("mysql", 3306, "refused"),
    ),
    (
        "PDOException: SQLSTATE[HY000] [2002] php_network_getaddresses: getaddrinfo for mysql-db failed: Name or service not known",
        ("mysql-db", 0, "dns"),
    ),
    (
        'PG::ConnectionBad: connection to server at "10.96.0.4", port 5432 failed: Connection refused',
        ("10.96.0.4", 5432, "refused"),
    ),
    ("ERROR 2003 (HY000): Can't connect to MySQL server on 'mysql:3306' (111)", ("mysql", 3306, "refused")),
    (
        "sqlalchemy.exc.OperationalError: (pymysql.err.OperationalError) (2003, \"Can't connect to MySQL server on 'mysql' ([Errno 111] Connection refused)\")",
        ("mysql", 0, "refused"),
    ),
    (
        'Get "http://user:8080/health": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        ("user", 8080, "timeout"),
    ),
    ('Post "http://payment:8080/pay": EOF', ("payment", 8080, "reset")),
    ("read tcp 10.244.0.9:53422->10.96.7.1:6379: read: connection reset by peer", ("10.96.7.1", 6379, "reset")),
    ("dial tcp: lookup paymnt on 10.96.0.10:53: no such host", ("paymnt", 0, "dns")),
    ("dial tcp: lookup payment.shop.svc.cluster.local: i/o timeout", ("payment.shop.svc.cluster.local", 0, "dns")),
    ("curl: (6) Could not resolve host: orders", ("orders", 0, "dns")),
    ("curl: (7) Failed to connect to orders port 8080 after 2 ms: Couldn't connect to server", ("orders", 8080, "refused")),
    ("curl: (28) Failed to connect to orders port 80 after 130000 ms: Connection timed out", ("orders", 80, "timeout")),
    ("wget: can't connect to remote host (10.96.5.5): Connection refused", ("10.96.5.5", 0, "refused")),
    ("wget: bad address 'orders:8080'", ("orders", 8080, "dns")),
    ("nc: connect to redis port 6379 (tcp) failed: Connection refused", ("redis", 6379, "refused")),
    ("Error: connect ETIMEDOUT 10.96.9.9:5432", ("10.96.9.9", 5432, "timeout")),
    ("AxiosError: timeout of 3000ms exceeded url=http://inventory:8080/stock", ("inventory", 8080, "timeout")),
    (
        'level=error msg="request failed" url=http://ratings:9080/ratings/0 error="upstream request timeout" status=504',
        ("ratings", 9080, "timeout"),
    ),
    (
        'time="x" level=error error="could not charge the card: rpc error: code = DeadlineExceeded desc = context deadline exceeded" peer=paymentservice:50051',
        ("paymentservice", 50051, "timeout"),
    ),
    (
        "thread main panicked: error connecting to server: Connection refused (os error 111) addr=nats:4222",
        ("nats", 4222, "refused"),
    ),
    ("nats: no servers available for connection: nats://nats:4222", ("nats", 4222, "refused")),
    ("AMQPConnectionError: Connection to rabbitmq:5672 failed: [Errno -2] Name or service not known", ("rabbitmq", 5672, "dns")),
    (
        "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out after 30000ms.",
        None,
    ),
    (
        "com.mysql.cj.jdbc.exceptions.CommunicationsException: Communications link failure. The driver has not received any packets from the server. host=mysql port=3306",
        ("mysql", 3306, "refused"),
    ),
    ("Elasticsearch: No Living connections; connect ECONNREFUSED elasticsearch:9200", ("elasticsearch", 9200, "refused")),
    ("etcdclient: no available endpoints: dial tcp etcd:2379: connect: no route to host", ("etcd", 2379, "timeout")),
    (
        "tls: failed to verify certificate: x509: certificate signed by unknown authority while calling https://auth:8443/token",
        ("auth", 8443, "tls"),
    ),
]


def test_the_target_and_the_way_it_failed_are_read():
    read = {said: [(one.host, one.port, one.kind) for one in connection_troubles(f"{said}\n{said}")] for said, _ in SAID}
    assert read == {said: [meant] if meant else [] for said, meant in SAID}


def test_what_is_told_below_a_warning_is_no_trouble():
    quiet = "2026-05-04T12:00:00Z INFO health check of db:5432 answered, earlier: connection refused"
    assert connection_troubles(quiet) == []
    assert connection_troubles('10.0.0.1 - - "GET /lookup?host=a:80 HTTP/1.1" 200 timeout=30') == []


def test_settings_are_no_trouble():
    for line in (
        "starting: read timeout 30s, upstream=http://api:8080",
        "request timeout: 5s for backend cart:7070",
        "lookup table for cache:6379 closed after 3 entries",
        "SSL endpoint https://pay:8443 certificate reloaded, handshake timeout 10s",
    ):
        assert connection_troubles(line) == [], line


def test_words_are_no_hosts():
    assert target_of("Failed to connect to remote host: Connection refused") is None
    assert target_of("Check that the hostname and port are correct") is None
