"""Follows the best chain of a karat node, with nothing but Python's standard library.

    python3 follow.py genesis.json HOST:PORT [number of blocks after which to end]

For people who learn the protocol: the client's side of docs/wire-protocol.md, whose sections are named here. It
fetches and checks all headers, then fetches each new block, checks its merkle root, and prints it. What only a full
node can check (scripts, amounts), it believes.
"""

import hashlib, hmac, io, json, os, socket, struct, sys, time
from array import array
from decimal import Decimal


class ProtocolError(Exception):
    """The node said what the protocol or the rules of the chain forbid."""

def sha256(data): return hashlib.sha256(data).digest()
def double_sha256(data): return sha256(sha256(data))
def little(data): return int.from_bytes(data, "little")
def short_size(n): return b"\xfd" + struct.pack("<H", n) if n < 2**16 else b"\xfe" + struct.pack("<I", n)
def compact_size(n): return bytes([n]) if n < 0xfd else short_size(n)
def grains(amount): return int(Decimal(amount) * 10**8)
def target_of(bits): return (bits & 0x7fffff) << 8 * (bits >> 24) >> 24
def work(header): return 2**256 // (target_of(little(header[72:76])) + 1)


# The primitives of Noise: RFC 7748 and RFC 8439. How long x25519 takes depends on the private key: it suits only a
# program that makes new keys for each run.
PRIME = 2**255 - 19
BASE_POINT = bytes([9]) + bytes(31)

def x25519(private, public):
    k, x1 = little(private) & (2**255 - 8) | 2**254, little(public) % 2**255
    near, far = (1, 0), (x1, 1)
    for bit in f"{k:b}":
        (x2, z2), (x3, z3) = (far, near) if bit == "1" else (near, far)
        plus, minus, cross1, cross2 = (x2 + z2)**2, (x2 - z2)**2, (x3 - z3) * (x2 + z2), (x3 + z3) * (x2 - z2)
        double = plus * minus % PRIME, (plus - minus) * (plus + 121665 * (plus - minus)) % PRIME
        total = (cross1 + cross2)**2 % PRIME, x1 * (cross1 - cross2)**2 % PRIME
        near, far = (total, double) if bit == "1" else (double, total)
    shared = near[0] * pow(near[1], PRIME - 2, PRIME) % PRIME
    if shared == 0:
        raise ProtocolError("a public key of small order")
    return shared.to_bytes(32, "little")

def chacha20(key, nonce, blocks):
    """The key stream. A number holds one word of every block, 64 bits apart, so that all are computed at once."""
    ones = (2**(64 * blocks) - 1) // (2**64 - 1)
    mask = ones * 0xffffffff
    block = b"expand 32-byte k" + key + bytes(8) + struct.pack("<Q", nonce)
    start = [word * ones for word in struct.unpack("<16I", block)]
    start[12] = sum(i << 64 * i for i in range(blocks))
    x = start[:]
    for a, b, c, d in 10 * ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                            (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
        for i, j, k, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[i] = (x[i] + x[j]) & mask
            mixed = x[k] ^ x[i]
            x[k] = (mixed << turn | mixed >> (32 - turn)) & mask
    x = [(new + old) & mask for new, old in zip(x, start)]
    stream = array("Q", bytes(64 * blocks))
    for i in range(8):
        stream[i::8] = array("Q", (x[2 * i] | x[2 * i + 1] << 32).to_bytes(8 * blocks, "little"))
    return stream.tobytes()

def poly1305(key, data):
    r = little(key[:16]) & 0x0ffffffc0ffffffc0ffffffc0fffffff
    tag = 0
    for i in range(0, len(data), 16):
        tag = (tag + little(data[i:i + 16]) + 2**128) * r % (2**130 - 5)
    return ((tag + little(key[16:32])) % 2**128).to_bytes(16, "little")

class Cipher:
    """ChaCha20-Poly1305 under one key, with a nonce that counts up."""
    def __init__(self, key):
        self.key, self.nonce = key, 0

    def encrypt(self, plaintext, associated=b""):
        return b"".join(self.crypt(plaintext, associated, True))

    def decrypt(self, data, associated=b""):
        plaintext, tag = self.crypt(data[:-16], associated, False)
        if tag != data[-16:]:
            raise ProtocolError("bytes that do not decrypt: another network, or changed on their way")
        return plaintext

    def crypt(self, data, associated, encrypting):
        stream = chacha20(self.key, self.nonce, 1 + (len(data) + 63) // 64)
        self.nonce += 1
        if self.nonce % 65536 == 0:  # section 2; no handshake comes that far
            self.key = chacha20(self.key, 2**64 - 1, 2)[64:96]
        result = (little(data) ^ little(stream[64:64 + len(data)])).to_bytes(len(data), "little")
        padded = b"".join(part + bytes(-len(part) % 16) for part in (associated, result if encrypting else data))
        return result, poly1305(stream[:32], padded + struct.pack("<QQ", len(associated), len(data)))


class Handshake:
    """The secrets of Noise XX, as they grow from token to token (section 1)."""
    def __init__(self, prologue):
        self.chaining = b"Noise_XX_25519_ChaChaPoly_SHA256"
        self.hash = sha256(self.chaining + prologue)

    def mix_hash(self, data):
        self.hash = sha256(self.hash + data)
        return data

    def split(self, secret=b""):
        key = hmac.digest(self.chaining, secret, "sha256")
        first = hmac.digest(key, b"\1", "sha256")
        return first, hmac.digest(key, first + b"\2", "sha256")

    def mix_key(self, secret):
        self.chaining, key = self.split(secret)
        self.cipher = Cipher(key)

    def encrypt(self, plaintext):
        return self.mix_hash(self.cipher.encrypt(plaintext, self.hash))

    def decrypt(self, ciphertext):
        plaintext = self.cipher.decrypt(ciphertext, self.hash)
        self.mix_hash(ciphertext)
        return plaintext


# Section 5: the types of messages that are used here, and the most bytes of each type.
HELLO, PING, PONG, GETPEERS, PEERS, GETHEADERS, HEADERS, GETBLOCKS, BLOCK, NOTFOUND = 1, 2, 3, 4, 5, 6, 7, 11, 12, 13
LIMITS = {1: 1360, 2: 8, 3: 8, 4: 0, 5: 58_003, 6: 3265, 7: 160_003, 8: 32_003, 9: 32_003, 10: 400_000, 11: 4097,
          13: 32_004, 14: 1_000_000, 15: 200_035, 17: 8, 18: 1}

class Connection:
    """An encrypted connection that sends and receives messages (sections 1 to 3)."""
    def __init__(self, address, network):
        self.limits = {**LIMITS, 12: network.max_block_weight, 16: network.max_block_weight}
        self.received = self.stream = b""  # what came, and the fragments that were in it
        self.lanes = [None, None]  # of each: type, total and data of a message that is not complete
        self.socket = socket.create_connection(address, timeout=10)
        noise, static, ephemeral = Handshake(b"karat/1" + network.identity), os.urandom(32), os.urandom(32)
        self.socket.sendall(noise.mix_hash(x25519(ephemeral, BASE_POINT)))
        noise.mix_hash(b"")  # the empty payload: there is no key yet
        message = self.take(96, time.monotonic() + 10)
        self.received = self.received[96:]
        theirs = noise.mix_hash(message[:32])
        noise.mix_key(x25519(ephemeral, theirs))
        self.node_id = noise.decrypt(message[32:80])
        noise.mix_key(x25519(ephemeral, self.node_id))
        noise.decrypt(message[80:])
        sealed = noise.encrypt(x25519(static, BASE_POINT))
        noise.mix_key(x25519(static, theirs))
        self.socket.sendall(sealed + noise.encrypt(b""))
        self.sender, self.receiver = (Cipher(key) for key in noise.split())

    def take(self, size, deadline):
        """The first so many bytes that came. Raises socket.timeout if they are not there at the deadline."""
        while len(self.received) < size:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.socket.recv(65536)
            if not data:
                raise ProtocolError("the node hung up")
            self.received += data
        return self.received[:size]

    def send(self, kind, payload):
        """Sends a message that fits in one fragment, in the urgent lane."""
        record = self.sender.encrypt(struct.pack("<BBHI", 0, kind, len(payload), len(payload)) + payload)
        self.socket.settimeout(30)
        self.socket.sendall(struct.pack("<H", len(record)) + record)

    def receive(self, deadline):
        """The next message, as type and payload. Raises socket.timeout at the deadline."""
        while True:
            while len(self.stream) >= 8:
                lane, kind, size, total = struct.unpack("<BBHI", self.stream[:8])
                if len(self.stream) < 8 + size:
                    break
                data, self.stream = self.stream[8:8 + size], self.stream[8 + size:]
                message = self.add_fragment(lane, kind, total, data)
                if message is not None:
                    return kind, message
            size = little(self.take(2, deadline))
            if not 17 <= size <= 16400:
                raise ProtocolError(f"a record of {size} bytes")
            self.stream += self.receiver.decrypt(self.take(2 + size, deadline)[2:])
            self.received = self.received[2 + size:]

    def add_fragment(self, lane, kind, total, data):
        """The payload of the message that this fragment completes, or None."""
        if lane > 1 or total > self.limits.get(kind, 65536):
            raise ProtocolError(f"a message of type {kind} with {total} bytes in lane {lane}")
        begun = self.lanes[lane] or (kind, total, bytearray())
        if begun[:2] != (kind, total) or len(data) != min(16000, total - len(begun[2])):
            raise ProtocolError("a fragment that does not continue the message before it")
        begun[2].extend(data)
        self.lanes[lane] = begun if len(begun[2]) < total else None
        return None if self.lanes[lane] else bytes(begun[2])

class Reader(io.BytesIO):
    """Reads values (section 4) from a payload that may hold anything."""
    def take(self, size):
        data = self.read(size)
        if len(data) < size:
            raise ProtocolError("a message that ends too early")
        return data

    def length(self):
        """A compact size. Nothing can be longer than what it is in."""
        value = self.take(1)[0]
        size = 2 << value - 0xfd if value >= 0xfd else 0
        value = little(self.take(size)) if size else value
        if value > len(self.getvalue()) or len(compact_size(value)) != 1 + size:
            raise ProtocolError(f"a length of {value}, too long or not in its shortest form")
        return value

    def end(self):
        if self.read(1):
            raise ProtocolError("bytes left over after a message")

def transaction_id(reader):
    """Reads a transaction (BIP144). Its id leaves the witnesses out."""
    version, has_witness = reader.take(4), reader.take(2) == b"\0\1"
    start = reader.seek(0 if has_witness else -2, io.SEEK_CUR)
    inputs = reader.length()
    for _ in range(inputs):
        reader.take(36)
        reader.take(reader.length() + 4)
    for _ in range(reader.length()):
        reader.take(8)
        reader.take(reader.length())
    body = reader.getvalue()[start:reader.tell()]
    for _ in range(inputs * has_witness):
        for _ in range(reader.length()):
            reader.take(reader.length())
    return double_sha256(version + body + reader.take(4))

def check_block(block):
    """The number of a block's transactions, if they are those of its header."""
    reader = Reader(block)
    root = reader.take(80)[36:68]
    ids = level = [transaction_id(reader) for _ in range(reader.length())]
    reader.end()
    while len(level) > 1:
        if any(a == b for a, b in zip(level[::2], level[1::2])):
            raise ProtocolError("a block that repeats transactions (CVE-2012-2459)")
        level = level + level[-1:] * (len(level) % 2)
        level = [double_sha256(a + b) for a, b in zip(level[::2], level[1::2])]
    if level != [root]:
        raise ProtocolError("a block whose transactions are not those of its header")
    return len(ids)


class Network:
    """What genesis.json says (docs/consensus.md), and the identity that it makes."""
    def __init__(self, rules):
        genesis, difficulty = rules["genesis"], rules["difficulty"]
        self.start, self.bits, self.spacing = genesis["timestamp"], int(genesis["bits"], 16), rules["target_spacing"]
        self.pow_limit, self.half_life = int(rules["pow_limit"], 16), difficulty.get("half_life", 0)
        self.max_block_weight = rules["max_block_weight"]
        message, algorithm = genesis["message"].encode(), difficulty["algorithm"].encode()
        script = b"\4\xff\xff\0\x1d\1\4" + b"\x4c" * (len(message) > 75) + bytes([len(message)]) + message
        coinbase = b"\1\0\0\0\1" + bytes(32) + b"\xff" * 4 + bytes([len(script)]) + script + b"\xff" * 4
        coinbase += compact_size(len(genesis["outputs"]))
        for output in genesis["outputs"]:
            script = bytes.fromhex(output["script"]) if "script" in output else script_of(output["address"])
            coinbase += struct.pack("<Q", grains(output["amount"])) + compact_size(len(script)) + script
        coinbase += bytes(4)
        self.genesis = struct.pack("<i32s32sIII", genesis["version"], bytes(32), double_sha256(coinbase),
                                   self.start, self.bits, genesis["nonce"])
        parameters = struct.pack("<I", self.spacing) + compact_size(len(algorithm)) + algorithm + struct.pack(
            "<I32sQIQIQ", self.half_life, self.pow_limit.to_bytes(32, "little"), grains(rules["initial_subsidy"]),
            rules["halving_interval"], grains(rules["max_money"]), rules["coinbase_maturity"], self.max_block_weight)
        self.identity = sha256(2 * sha256(b"karat/network") + self.genesis + b"\1" + coinbase + parameters)

    def next_bits(self, height, parent_time):
        """What the difficulty rule asks of the child of a block."""
        if not self.half_life:
            return self.bits
        late = parent_time - self.start - self.spacing * height
        whole, x = divmod(abs(late) * 65536 // self.half_life * (1 if late > 0 else -1), 65536)
        factor = 65536 + (195766423245049 * x + 971821376 * x**2 + 5127 * x**3 + 2**47 >> 48)
        target = min(max(target_of(self.bits) * factor << max(whole, 0) >> 16 + max(-whole, 0), 1), self.pow_limit)
        size = target.bit_length() // 8 + 1  # the mantissa's highest bit would be its sign
        return size << 24 | target << 24 >> 8 * size

def script_of(address):
    """The script of an address (BIP350). A wrong one would make another identity: the checksum is not looked at."""
    values = ["qpzry9x8gf2tvdw0s3jn54khce6mua7l".index(c) for c in address.rpartition("1")[2][:-6]]
    bits = "".join(f"{value:05b}" for value in values[1:])
    return bytes([0x50 + values[0], len(bits) // 8]) + bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits) - 7, 8))

class Chain:
    """The best chain that the node has shown: its headers, checked."""
    def __init__(self, network):
        self.network = network
        self.headers, self.heights = [network.genesis], {double_sha256(network.genesis): 0}

    def extend(self, headers):
        """Takes headers, if they have more work than what is above their parent now. Returns the height up to which
        the chain stays as it was, or None if the parent is not known."""
        headers = [header for header in headers if double_sha256(header) not in self.heights]
        fork = self.heights.get(headers[0][4:36]) if headers else len(self.headers) - 1
        if fork is None:
            return None
        recent, above = self.headers[max(0, fork - 10):fork + 1], self.headers[fork + 1:]
        for height, header in enumerate(headers, fork + 1):
            self.check(header, height, recent[-11:])
            recent.append(header)
        if sum(map(work, headers)) <= sum(map(work, above)):
            return len(self.headers) - 1
        for header in above:
            del self.heights[double_sha256(header)]
        self.headers[fork + 1:] = headers
        self.heights.update((double_sha256(header), fork + 1 + i) for i, header in enumerate(headers))
        return fork

    def check(self, header, height, before):
        version, parent, _, moment, bits, _ = struct.unpack("<i32s32sIII", header)
        times = [little(h[68:72]) for h in before]
        if parent != double_sha256(before[-1]):
            raise ProtocolError("headers that do not follow each other")
        if bits != self.network.next_bits(height - 1, times[-1]) or little(double_sha256(header)) > target_of(bits):
            raise ProtocolError(f"a header of height {height} without the proof of work that it needs")
        if version < 4 or not sorted(times)[len(times) // 2] < moment <= time.time() + 7200:
            raise ProtocolError(f"a header of height {height} with version {version} and time {moment}")

    def locator(self):
        """The payload of a getheaders: hashes from the tip down, ever wider apart, and no stop hash."""
        tip = len(self.headers) - 1
        heights = [tip] + [tip - 2**i for i in range(32) if 2**i < tip] + [0]
        return compact_size(len(heights)) + b"".join(double_sha256(self.headers[h]) for h in heights) + bytes(32)


def greet(connection, network):
    """Sends a hello and reads the node's, which a later version may have made longer."""
    connection.send(HELLO, struct.pack("<IQB13sI32sqHB", 1, 0, 13, b"/follow.py:1/", 0, double_sha256(network.genesis),
                                       int(time.time()), 0, 0))
    kind, payload = connection.receive(time.monotonic() + 30)
    if kind != HELLO:
        raise ProtocolError(f"a message of type {kind} before the hello")
    hello = Reader(payload)
    hello.take(12)  # version, services
    agent, height, _ = hello.take(hello.length()), little(hello.take(4)), hello.take(43)
    print(f"node {connection.node_id.hex()}, {ascii(agent.decode('latin-1'))}, at height {height}", flush=True)

def follow(connection, network, count):
    """Prints so many new blocks; without end if count is below zero."""
    chain, printed, wanted, late, pong, tick = Chain(network), None, None, None, None, 0
    greet(connection, network)
    while count:
        if time.monotonic() >= tick:
            if pong or wanted and wanted == late:
                raise ProtocolError("a minute without an answer")
            pong, late, tick = os.urandom(8), wanted, time.monotonic() + 60
            connection.send(PING, pong)
            connection.send(GETHEADERS, chain.locator())
        if printed is not None and not wanted and printed + 1 < len(chain.headers):
            wanted = double_sha256(chain.headers[printed + 1])
            connection.send(GETBLOCKS, b"\1" + wanted)
        try:
            kind, payload = connection.receive(tick)
        except socket.timeout:
            continue
        if kind in (PING, GETPEERS, GETHEADERS):  # the answer is of the next type; there are no peers or blocks here
            connection.send(kind + 1, payload if kind == PING else b"\0")
        elif kind == PONG and payload == pong:
            pong = None
        elif kind == HEADERS:
            reader, before = Reader(payload), len(chain.headers)
            headers = [reader.take(80) for _ in range(reader.length())]
            reader.end()
            kept = chain.extend(headers)
            if kept is None or len(headers) == 2000 and len(chain.headers) > before:
                connection.send(GETHEADERS, chain.locator())
            elif printed is None:
                printed = len(chain.headers) - 1
                print(f"{printed} headers, the last is {double_sha256(chain.headers[-1])[::-1].hex()}", flush=True)
            elif kept < printed:
                printed = kept
                print(f"the blocks above {kept} are replaced", flush=True)
        elif kind == BLOCK and double_sha256(payload[:80]) == wanted:
            transactions = check_block(payload)
            if chain.heights.get(wanted) == printed + 1:
                printed, count = printed + 1, count - 1
                print(printed, wanted[::-1].hex(), transactions, "transactions", flush=True)
            wanted = None
        elif kind == NOTFOUND and wanted and payload == b"\2\1" + wanted:
            raise ProtocolError(f"the node does not have the block {wanted[::-1].hex()}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    host, _, port = sys.argv[2].rpartition(":")
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            rules = Network(json.load(file))
        follow(Connection((host.strip("[]"), port), rules), rules, int(sys.argv[3]) if sys.argv[3:] else -1)
    except (ProtocolError, OSError, ValueError, KeyError) as err:
        sys.exit(f"follow.py: {type(err).__name__}: {err}")
