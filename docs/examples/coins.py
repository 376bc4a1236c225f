"""Keeps the coins of some addresses by a node's events, with nothing but Python's standard library.

    python3 coins.py COOKIEFILE HOST:PORT STATEFILE ADDRESS [ADDRESS...]

For people who write a client of the subscriptions of docs/rpc.md. It prints the sum of the coins whenever it changes. It
may be stopped, and so may the node, at any moment: what an event changes and the event's cursor are stored in one step,
so that it goes on where it was. If the node has forgotten its last blocks, it walks back to one that both know.
"""

import base64, json, os, socket, sqlite3, struct, sys
from decimal import Decimal

KEEP = 1000  # events of blocks, to walk back


class Socket:
    """The client's side of RFC 6455, as much of it as a node needs."""

    def __init__(self, address, cookie):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)))
        self.stream = self.socket.makefile("rb")
        login, key = base64.b64encode(cookie.encode()).decode(), base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Basic {login}\r\n\r\n".encode())
        status = self.stream.readline().decode()
        if " 101 " not in status:
            sys.exit(f"the node answers {status.strip()}")
        while self.stream.readline().strip():
            pass
        self.events, self.calls = [], 0

    def send(self, kind, data):
        length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xff" + struct.pack(">Q", len(data))
        mask = os.urandom(4)
        self.socket.sendall(bytes([0x80 | kind]) + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def read(self, n):
        data = self.stream.read(n)
        if len(data) < n:
            sys.exit("the node has hung up")
        return data

    def message(self):
        """The next message, of one frame or several."""
        whole = b""
        while True:
            first, length = self.read(2)
            if length > 125:
                length = struct.unpack(">H" if length == 126 else ">Q", self.read(2 if length == 126 else 8))[0]
            data, kind = self.read(length), first & 15
            if kind == 8:
                sys.exit(f"the node has cut us off: {data[2:].decode()}")
            if kind == 9:
                self.send(10, data)
            if kind < 8:
                whole += data
                if first & 0x80:
                    return json.loads(whole, parse_float=Decimal)

    def call(self, method, *params):
        self.calls += 1
        self.send(1, json.dumps({"method": method, "params": params, "id": self.calls}).encode())
        while (reply := self.message()).get("id") != self.calls:
            self.events += reply["params"]
        if reply["error"]:
            sys.exit(f"{method}: {reply['error']['message']}")
        return reply["result"]

    def event(self):
        return self.events.pop(0) if self.events else self.message()["params"][0]


def transaction(raw):
    """What a transaction spends and makes: names of coins, and pairs of value and script."""
    at = 4
    def take(n):
        nonlocal at
        at += n
        return raw[at - n:at]
    def size():
        n = take(1)[0]
        return n if n < 0xfd else int.from_bytes(take(1 << n - 0xfc), "little")
    if raw[4] == 0:
        take(2)  # the marker of witnesses, which stand behind the outputs
    inputs, outputs = [], []
    for _ in range(size()):
        txid = take(32)[::-1].hex()
        inputs.append(f"{txid}:{int.from_bytes(take(4), 'little')}")
        take(size() + 4)
    for _ in range(size()):
        value = int.from_bytes(take(8), "little")
        outputs.append((value, take(size()).hex()))
    return inputs, outputs


def change(db, scripts, event, forward):
    """Goes forward or back by a block."""
    for tx in event["transactions"] if forward else reversed(event["transactions"]):
        inputs, outputs = transaction(bytes.fromhex(tx["hex"]))
        made = [(f"{tx['txid']}:{i}", value) for i, (value, script) in enumerate(outputs) if script in scripts]
        spent = [(name, int(coin["value"] * 10**8)) for name, coin in zip(inputs, tx["spent"]) if coin["scriptPubKey"] in scripts]
        gone, come = (spent, made) if forward else (made, spent)
        # What a block makes and spends itself is first made, then spent; backwards it is the other way round.
        db.executemany("INSERT OR REPLACE INTO coins VALUES (?, ?)", come)
        db.executemany("DELETE FROM coins WHERE name = ?", [(name,) for name, _ in gone])


def follow(cookie, address, file, addresses):
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE IF NOT EXISTS coins (name TEXT PRIMARY KEY, value INTEGER)")
    db.execute("CREATE TABLE IF NOT EXISTS events (sequence INTEGER PRIMARY KEY, before TEXT, event TEXT)")
    db.execute("CREATE TABLE IF NOT EXISTS here (cursor TEXT)")
    node = Socket(address, open(cookie, encoding="utf-8").read())
    scripts = {node.call("validateaddress", a)["scriptPubKey"] for a in addresses}
    row = db.execute("SELECT cursor FROM here").fetchone()
    cursor = json.loads(row[0]) if row else {"sequence": 0, "height": 0, "hash": node.call("getblockhash", 0)}
    known = [json.loads(before) for (before,) in db.execute("SELECT before FROM events ORDER BY sequence DESC LIMIT 999")]
    chosen = node.call("subscribe", ["transactions"], [cursor] + known, {"addresses": addresses})["cursor"]

    def go(event, forward, to):
        with db:  # one step
            change(db, scripts, event, forward)
            db.execute("DELETE FROM here")
            db.execute("INSERT INTO here VALUES (?)", [json.dumps(to)])
            if to["sequence"] > cursor["sequence"]:
                db.execute("INSERT INTO events VALUES (?, ?, ?)", [to["sequence"], json.dumps(cursor), json.dumps(event, default=str)])
                db.execute("DELETE FROM events WHERE sequence <= ?", [to["sequence"] - KEEP])
            else:
                db.execute("DELETE FROM events WHERE sequence > ?", [to["sequence"]])
        return to

    while cursor["hash"] != chosen["hash"] or cursor["sequence"] != chosen["sequence"]:
        before, text = db.execute("SELECT before, event FROM events WHERE sequence = ?", [cursor["sequence"]]).fetchone()
        event = json.loads(text)
        for tx in event["transactions"]:
            for coin in tx["spent"]:
                coin["value"] = Decimal(coin["value"])
        cursor = go(event, event["event"] == "blockreverted", json.loads(before))
    told = None
    while True:
        total = db.execute("SELECT COALESCE(SUM(value), 0), COUNT(*) FROM coins").fetchone()
        if total != told:
            told = total
            print(f"{cursor['height']} {cursor['hash']} {Decimal(total[0]) / 10**8:.8f} in {total[1]} coins", flush=True)
        event = node.event()
        if event["event"] == "end":
            sys.exit(event["error"]["message"])
        cursor = go(event, event["event"] == "blockapplied", event["cursor"])


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    follow(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
