"""What the tests of requests, of the operator's methods and of peers' need."""

from .source import Change, LeaveOut

ONE_LINE = "two nodes hold one connection, whoever called"
PEERS = "karat's peers speak another protocol"

TEXT = {
    "interface_rpc": [
        Change("bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202", "bcrt1pfeesnyr2tx", "an output that karat has"),
        LeaveOut("        self.test_work_queue_exceeded()", "calls wait, and are not refused, while others are under way", item=True),
    ],
    "interface_bitcoin_cli": [
        Change("""f"{self.config['environment']['CLIENT_NAME']} """, """f"{'Bitcoin Core'} """, "the client is Core's bitcoin-cli", times=2),
        Change("{re.escape(self.config['environment']['CLIENT_NAME'])}", "Bitcoin Core", "the same"),
        Change(', "-i2psam=127.0.0.1:7656"', "", "karat does not reach I2P"),
        Change("127.0.0.1:9050 (ipv4, ipv6, onion, cjdns), 127.0.0.1:7656 (i2p)", "127.0.0.1:9050 (ipv4, ipv6, onion)", "karat does not reach I2P and CJDNS"),
        LeaveOut("Test default request logs default id=1", "texts of the log"),
        LeaveOut("Test that request ids with unsafe characters are sanitized in the log", "texts of the log"),
    ],
    "rpc_openrpc": [
        LeaveOut("Checking relaxed schemas for unchecked RPC types", "the elements of arrays are not described"),
    ],
    "rpc_misc": [
        LeaveOut("assert_greater_than(memory['used'], 0)", "the node holds no keys, and so no memory for them", item=True),
        LeaveOut("assert_greater_than(memory['free'], 0)", "the same", item=True),
        LeaveOut("assert_greater_than(memory['total'], 0)", "the same", item=True),
        LeaveOut("assert_greater_than(memory['chunks_used'], 0)", "the same", item=True),
        LeaveOut("assert_greater_than(memory['chunks_free'], 0)", "the same", item=True),
        Change("['qt']", "['net']", "a category that karat has", times=5),
        LeaveOut('libevent_warning = "The logging category', "karat never had this category", until="if __name__"),
    ],
    "rpc_setban": [
        LeaveOut("# However, node 0 should be able to reconnect if it has noban permission", "who is trusted is not banned for what it sends, but by the operator", until="# If we remove the ban"),
        LeaveOut("Test that a non-IP address can be banned/unbanned", "peers are banned by what they call from, which no onion address is"),
        LeaveOut("Test -bantime", "a ban says itself how long it lasts", until="if __name__"),
    ],
    "rpc_net": [
        Change("-proxy=127.0.0.1:1", "-connect=0", "karat calls this machine through a proxy, too; nobody else is called"),
        Change("11.22.33.44", "127.0.0.9", "the same", times=2),
        Change("self.nodes[0].getconnectioncount(), 2)", "self.nodes[0].getconnectioncount(), 1)", ONE_LINE),
        Change("range(self.num_nodes), range(2), [", "range(self.num_nodes), range(1), [", ONE_LINE),
        LeaveOut("assert_equal(peer_info[0][1]['connection_type'], 'manual')", ONE_LINE, item=True),
        LeaveOut("assert_equal(peer_info[1][1]['connection_type'], 'inbound')", ONE_LINE, item=True),
        LeaveOut("Check getpeerinfo output before a version message was sent", "a peer is one once it has shown its key", until="def test_getnettotals"),
        Change("assert_equal(info['connections'], 2)", "assert_equal(info['connections'], 1)", ONE_LINE, times=2),
        Change("assert_equal(info['connections_in'], 1)", "pass", ONE_LINE, times=2),
        Change("assert_equal(info['connections_out'], 1)", "pass", ONE_LINE, times=2),
        Change('ip_port2 = "127.1:{}"', 'ip_port2 = "127.0.0.1:{}"', "addresses are written in full"),
        Change("ping_size = 32 if", "ping_size = 4 if", "messages of karat's protocol are shorter, and there is one peer"),
        LeaveOut("        self.test_service_flags()", PEERS, item=True),
        LeaveOut("        self.test_addpeeraddress()", "where an address comes to lie in the book is chosen by a secret, which Core's option for tests fixes", item=True),
        LeaveOut("        self.test_sendmsgtopeer()", PEERS, item=True),
        LeaveOut("        self.test_getaddrmaninfo()", "it needs addresses of I2P and CJDNS, and of Tor in the book, which karat has not", item=True),
        LeaveOut("        self.test_getrawaddrman()", "the same", item=True),
    ],
    "rpc_help": [
        LeaveOut("        self.test_client_conversion_table()", "the table of bitcoin-cli has methods of Core's wallet", item=True),
        LeaveOut("        self.test_client_string_conversion_table()", "the same", item=True),
        Change("titles, sorted(components))", "[t for t in titles if t not in ('Btcd', 'Index', 'WebSocket')], sorted(c for c in components if c != 'Wallet'))", "karat has btcd's methods and those of its index of scripts besides"),
    ],
}
