"""Who is let in, counted by hand, and what a crowd is told over a real socket."""

import http.client
import itertools
import json
import random
import socket
import time

import pytest
from served_fakes import Grey, png, running

from vistazo.serving import admission
from vistazo.serving.admission import Admission
from vistazo.serving.connections import Heads
from vistazo.serving.refusing import Refused


def let_in(one, requests):
    """How many come in of requests that come at once; they leave again."""
    came = 0
    for _ in range(requests):
        try:
            one.admit()
        except Refused:
            continue
        came += 1
    one.leave(came)
    return came


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(admission, "monotonic", lambda: now[0])
    return now


def test_a_full_queue_tells_when_to_come_back():
    one = Admission(queue=4, least=2)
    one.pace = 2.0
    one.admit(3)
    assert not one.full
    one.admit()
    assert one.full
    with pytest.raises(Refused) as refused:
        one.admit()
    assert refused.value.status == 429
    assert dict(refused.value.more)[b"retry-after"] == b"8"
    one.leave(4)
    one.admit(100)  # one request that is larger than the queue comes in where nothing waits
    assert one.accepted == 100


def test_a_burst_is_no_crowd(clock):
    """Forty at once, of which the queue takes thirty-two; then as many as before."""
    one = Admission(queue=32, least=3)
    assert [let_in(one, 40), let_in(one, 40), let_in(one, 32)] == [32, 32, 32]
    assert not one.crowded


def came_in(one, clock, windows, requests):
    """How many came in of requests that come at once, in each of so many windows."""
    came = []
    for _ in range(windows):
        clock[0] += 0.25
        came.append(let_in(one, requests))
    return came


def test_a_moment_of_many_among_as_many_as_ever_is_no_crowd(clock):
    """Hundreds a window come and are answered; then the machine does something else, and eighty come at once."""
    one = Admission(queue=32, least=3)
    for _ in range(3):
        clock[0] += 0.25
        assert [let_in(one, 20) for _ in range(20)] == [20] * 20
    clock[0] += 0.25
    assert let_in(one, 80) == 32
    assert not one.crowded
    let_in(one, 150)
    assert one.crowded, "more than a quarter of the 400 of a window"


def test_in_a_crowd_a_few_are_let_in_as_long_as_it_stays(clock):
    one = Admission(queue=32, least=3)
    let_in(one, 80)
    assert one.crowded, "48 of 80 were turned away"
    assert let_in(one, 40) == 3
    came = came_in(one, clock, 150, 40)
    assert set(came) == {3, 16}, "now and then some more are let in, and it is a crowd still"
    tried = [at for at, count in enumerate(came) if count == 16]
    gaps = [second - first for first, second in zip(tried, tried[1:], strict=False)]
    assert tried[0] == 0, "the first time at once"
    assert gaps == sorted(gaps), "then ever less often"
    assert gaps[-1] == 32, "every eight seconds"
    clock[0] += 5.0  # nobody came for a while
    assert let_in(one, 32) == 32
    assert not one.crowded


def test_a_trial_that_turns_away_as_many_as_before_ends_at_once(clock):
    """Who is let in during a trial waits for all the others in it, so it is no longer than it takes to tell."""
    one = Admission(queue=32, least=3)
    let_in(one, 80)
    clock[0] += 0.25
    came = [let_in(one, 40) for _ in range(20)]  # of one window, each answered before the next come
    assert came == [16] + [3] * 19, "24 of 40 are turned away the first time"
    assert came_in(one, clock, 1, 40) == [3]
    clock[0] += 0.25
    came = [let_in(one, 18) for _ in range(20)]
    assert came == [16] * 20, "two of eighteen are few"
    clock[0] += 0.25
    assert let_in(one, 32) == 32, "and it is a crowd no longer"


def test_a_crowd_that_grows_smaller_is_none(clock):
    one = Admission(queue=32, least=3)
    let_in(one, 80)
    came = came_in(one, clock, 3, 40)
    assert max(came) == 16
    assert came_in(one, clock, 2, 3) == [3, 3]
    assert came_in(one, clock, 1, 32) == [32]


def test_who_is_refused_at_the_head_counts(clock):
    one = Admission(queue=32, least=3)
    let_in(one, 80)
    one.admit(3)
    for _ in range(8):
        clock[0] += 0.25
        for _ in range(40):
            one.refuse()
    assert one.crowded


def test_clients_that_the_queue_can_hold_are_not_a_crowd_for_ever(clock):
    """Twelve that ask again as soon as they are refused: until more are let in, and nobody is refused any more."""
    one = Admission(queue=32, least=3)
    let_in(one, 80)
    came = came_in(one, clock, 12, 12)
    assert came[:2] == [12, 12], "the first try is soon, and ends it"
    assert set(came) == {12}
    assert not one.crowded


def test_one_that_is_about_to_come_has_its_place(clock):
    """Requests whose heads arrive together: those that were let in are not at the queue yet."""
    one = Admission(queue=32, least=3)
    let_in(one, 80)
    one.admit()
    passed = 0
    for _ in range(20):
        if not one.full:
            one.expect()
            passed += 1
        else:
            one.refuse()  # who is refused takes nobody's place
    assert passed == 2
    one.admit()
    one.admit()
    assert one.full
    one.leave(3)
    one.admit()
    one.expect()
    one.expect()
    assert one.full
    clock[0] += 0.02  # they never came
    assert not one.full


def test_an_input_takes_what_the_last_ones_took():
    one = Admission(queue=4, least=2)
    for _ in range(200):
        one.answered(0.5)
    one.admit(3)
    assert one.wait == pytest.approx(1.5)


# ---------------------------------------------------------------- over a socket
def crowd(server):
    """The service as it is while a crowd asks: nobody is let in."""
    one = server.app.shelf.get("grey").admission
    one.accepted, one.limit, one._until, one.crowded = 5, one.least, float("inf"), True
    return one


ASKED = "/v1/models/grey/predict"


def test_a_crowd_is_refused_like_anybody_else():
    """With the headers, the body and the count of every other refusal, on a connection that goes on; the log tells how
    many they were."""
    with running({"grey": Grey()}) as server:
        assert server.predict(png())[0] == 200
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

        def ask(**headers):
            connection.request("POST", ASKED, png(), {"Content-Type": "image/png", **headers})
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()

        admitted = server.app.shelf.get("grey").admission
        admitted.accepted = admitted.queue
        plain = ask(**{"X-Request-Id": "one"})  # the queue is full, without a crowd
        one = crowd(server)
        made = server.app.front.app.answering
        made.__dict__["_predict"] = None  # nothing is made of a request that is refused so
        refused = ask(**{"X-Request-Id": "one"})
        spanish = ask(**{"Accept-Language": "es"})
        del made.__dict__["_predict"]
        assert plain[0] == refused[0] == 429
        assert plain[1].keys() == refused[1].keys()
        for name in plain[1].keys() - {"date", "content-length"}:
            assert plain[1][name] == refused[1][name], name
        assert json.loads(plain[2]) == json.loads(refused[2])
        assert json.loads(spanish[2])["error"].startswith("El servicio está ocupado")
        one.accepted = 0
        assert ask()[0] == 200
        connection.close()
        text = server.ask("GET", "/metrics")[2]
        assert b'model="grey",status="429"} 3' in text
        assert server.logged(lambda one: one.get("message") == "2 requests were turned away")
        lines = [line for line in server.lines() if line.get("status") == 429]
        assert [line.get("count", 1) for line in lines] == [1, 2]
        assert {line["model"] for line in lines} == {"grey"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Authorization": "Bearer wrong-token"}, 401),
        ({"Authorization": "Bearer right-token", "Origin": "http://127.0.0.1"}, 403),
        ({"Authorization": "Bearer right-token", "Transfer-Encoding": "chunked"}, 429),
        ({"Authorization": "Bearer right-token", "Connection": "close"}, 429),
        ({"Authorization": "Bearer right-token", "Expect": "100-continue"}, 429),
        ({"Authorization": "Bearer right-token"}, 429),
    ],
)
def test_a_crowd_opens_no_door(headers, status):
    right = {"Authorization": "Bearer right-token"}
    with running({"grey": Grey()}, token="right-token") as server:
        assert server.ask("POST", ASKED, png(), {**right, "Content-Type": "image/png"})[0] == 200
        crowd(server)
        body = b"0\r\n\r\n" if "Transfer-Encoding" in headers else png()
        assert server.ask("POST", ASKED, body, headers)[0] == status
        assert server.ask("POST", ASKED, png(), right)[0] == 429
        assert server.ask("GET", "/v1/models", None, right)[0] == 200


@pytest.fixture
def crowded():
    """(a service of which a crowd asks, the list of addresses of heads that were judged since)."""
    judged = []
    with running({"grey": Grey()}, token="right-token") as server:
        protocol = server.server.config.http_protocol_class
        first = protocol.knows
        with connected(server) as client:
            client.sendall(request())
            assert replies(client, 1)[0][0] == 200
        protocol.knows = staticmethod(lambda path, headers: judged.append(path) or first(path, headers))
        crowd(server)
        yield server, judged


def request(body=None, path=ASKED, token="right-token", **headers):
    """A request as it is sent."""
    body = png() if body is None else body
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def replies(client, count):
    """(status, X-Request-Id) of so many answers."""
    data, found = b"", []
    while len(found) < count:
        head, end, rest = data.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]) if end else 0
        if not end or len(rest) < size:
            some = client.recv(65536)
            assert some, f"the connection ended after {found}"
            data += some
            continue
        data = rest[size:]
        name = head.lower().partition(b"x-request-id: ")[2].partition(b"\r\n")[0]
        found.append((int(head[9:12]), name))
    assert not data
    return found


def connected(server):
    client = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def test_a_head_that_a_crowd_sent_before_is_not_parsed_again(crowded):
    server, judged = crowded
    with connected(server) as client:
        client.sendall(request())
        assert replies(client, 1)[0][0] == 429
        assert len(judged) == 1
        names = set()
        for level in range(5):  # pictures of the same length
            client.sendall(request(png(level + 100)))
            names.update(replies(client, 1))
        assert {status for status, _ in names} == {429}
        assert len(names) == 5, "each has a name of its own"
    with connected(server) as client:  # head and body in pieces, the first of a connection too
        for cut in (len(request()) - len(png()), -40, -1):
            client.sendall(request()[:cut])
            time.sleep(0.02)
            client.sendall(request()[cut:])
            assert replies(client, 1)[0][0] == 429
        assert len(judged) == 1
        server.app.shelf.get("grey").admission.accepted = 0
        client.sendall(request())
        assert replies(client, 1)[0][0] == 200, "there is a place: the head is read"
    text = server.ask("GET", "/metrics", None, {"Authorization": "Bearer right-token"})[2]
    assert b'model="grey",status="429"} 9' in text


def test_heads_that_are_not_remembered(crowded):
    server, judged = crowded
    with connected(server) as client:
        for name in (b"one", b"two"):  # each names the one request that it is
            client.sendall(request(X_Request_Id=name.decode()))
            assert replies(client, 1) == [(429, name)]
        client.sendall(request(Long="x" * 3000))
        client.sendall(request(Long="x" * 3000))
        replies(client, 2)
        client.sendall(request())
        replies(client, 1)
        before = len(judged)
        client.sendall(b"\r\n" + request())  # an empty line before a request is passed over
        assert replies(client, 1)[0][0] == 429
        client.sendall(request(token="wrong-token"))
        assert replies(client, 1)[0][0] == 401
        assert len(judged) == before + 2
        del server.app.shelf._models["grey"]
        client.sendall(request())
        assert replies(client, 1)[0][0] == 404, "what was remembered knows no model"


@pytest.mark.parametrize("seed", range(6))
def test_a_crowd_is_answered_in_order_however_its_requests_are_cut(crowded, seed):
    """Five kinds of requests one behind the other, in pieces that end anywhere."""
    server, _ = crowded
    kinds = [(request(), 429), (request(b""), 429), (request(png(7)[:50]), 429), (request(path="/nowhere"), 404),
             (request(token="wrong-token"), 401)]  # fmt: skip
    draw = random.Random(seed)
    with connected(server) as client:
        for data, status in kinds:
            client.sendall(data)
            assert replies(client, 1)[0][0] == status
        for _ in range(12):
            sent = [draw.choice(kinds) for _ in range(draw.randint(1, 6))]
            stream = b"".join(data for data, _ in sent)
            cuts = sorted(draw.randrange(1, len(stream)) for _ in range(draw.randint(0, 5)))
            for start, end in itertools.pairwise([0, *cuts, len(stream)]):
                client.sendall(stream[start:end])
                time.sleep(0.002)
            assert [status for status, _ in replies(client, len(sent))] == [status for _, status in sent]


def test_heads_take_no_more_than_their_share():
    class Any:
        length = 3

    heads = Heads()
    for number in range(3000):
        heads.keep(b"POST /%d HTTP/1.1\r\n\r\nabc" % number, 3, Any())
    assert len(heads._known) <= 1000
    whole = b"POST /2999 HTTP/1.1\r\n\r\n"
    assert heads.find(whole + b"abc")[1] == 0
    assert heads.find(whole)[1] == 3
    assert heads.find(whole + b"abcP") is None, "more than one request"
    assert heads.find(whole[:-1]) is None
    heads.keep(b"\r\n\r\nabc", 2, Any())  # not the end of a head
    assert heads.find(b"\r\n\r\na") is None


def test_a_connection_that_is_idle_is_let_go_of():
    with running({"grey": Grey()}, idle_seconds=0.5) as server:
        with connected(server) as client:
            for _ in range(3):
                client.sendall(request())
                assert replies(client, 1)[0][0] == 200
                time.sleep(0.2)
            began = time.monotonic()
            assert client.recv(100) == b""
            assert time.monotonic() - began < 5


def test_who_is_refused_in_a_crowd_and_never_sends_the_rest_is_let_go_of():
    with running({"grey": Grey()}, head_seconds=0.3, body_seconds=0.3) as server:
        assert server.predict(png())[0] == 200
        crowd(server)
        head = (
            f"POST {ASKED} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 100\r\n\r\n".encode()
        )
        for _ in range(3):  # whoever looks after the connections goes on doing so; the last head is known
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
                client.sendall(head + b"half")
                assert client.recv(100) == b""


def test_requests_sent_one_behind_the_other_are_answered_in_order_in_a_crowd():
    with running({"grey": Grey(0.2)}) as server:
        assert server.predict(png())[0] == 200
        host = f"127.0.0.1:{server.port}"
        head = f"POST {ASKED} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(png())}\r\n\r\n".encode()
        one = server.app.shelf.get("grey").admission
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(head + png())
            while one.accepted == 0:
                pass
            one.limit, one._until, one.least = 1, float("inf"), 1
            client.sendall(head + png())
            got = b""
            while got.count(b"HTTP/1.1 ") < 2:
                got += client.recv(65536)
        assert got.index(b"HTTP/1.1 200") == 0
