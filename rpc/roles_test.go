package rpc

import (
	"slices"
	"strings"
	"testing"
)

// TestRoles: every method is in the list of a role, those that a reader may call cost
// little and change nothing, and no list has a name twice.
func TestRoles(t *testing.T) {
	for name, m := range methods() {
		if len(m.roles) == 0 {
			t.Errorf("%s has no role: put it into a list of roles.go", name)
		}
		// Tools that work on what they are given alone take as long as a request is long.
		tool := strings.Contains(name, "psbt") || name == "verifymessage" || name == "combinerawtransaction" || name == "deriveaddresses"
		if m.slow && !tool && (slices.Contains(m.roles, roleRead) || slices.Contains(m.roles, roleMine)) {
			t.Errorf("%s may cost minutes, and is %v's", name, m.roles)
		}
	}
	for r, list := range roles {
		names := strings.Fields(list)
		slices.Sort(names)
		if len(slices.Compact(names)) != len(strings.Fields(list)) {
			t.Errorf("%s has a name twice", r)
		}
	}
	// What no reader may do, by what it does to a node. Typed again here, so that a slip in
	// the lists shows.
	for _, name := range strings.Fields(`stop invalidateblock reconsiderblock preciousblock pruneblockchain sendrawtransaction submitblock submitpackage
		prioritisetransaction addnode disconnectnode setban clearbanned setnetworkactive ping logging generatetoaddress setmocktime savemempool
		importmempool gettxoutsetinfo verifychain scantxoutset addpeeraddress getblockfrompeer submitheader doctor`) {
		if slices.Contains(strings.Fields(roles[roleRead]), name) {
			t.Errorf("a reader may call %s", name)
		}
		if alsoWallet := slices.Contains(strings.Fields(roles[roleWallet]), name); alsoWallet && !strings.Contains("sendrawtransaction submitpackage scantxoutset", name) {
			t.Errorf("a wallet may call %s", name)
		}
	}
}

// TestRoleLists: what users may call who have roles, methods, both, or no list.
func TestRoleLists(t *testing.T) {
	users := func(lines ...string) *Auth {
		auth := &Auth{}
		for _, name := range []string{CookieUser, "alice", "bob"} {
			if err := auth.AddPassword(name, name); err != nil {
				t.Fatal(err)
			}
		}
		for _, line := range lines {
			if err := auth.Allow(line); err != nil {
				t.Fatal(err)
			}
		}
		return auth
	}
	for _, c := range []struct {
		lines  []string
		all    bool // what those without a list may
		user   string
		may    string
		mayNot string
	}{
		{nil, true, "alice", "stop getblock nosuch", ""},
		{nil, false, "alice", "", "stop getblock"},
		{[]string{"alice:@read"}, false, "alice", "getblock help notifyblocks session estimatesmartfee", "sendrawtransaction stop nosuch getblocktemplate gettxoutsetinfo"},
		{[]string{"alice:@read"}, false, "bob", "", "getblock stop help"},
		{[]string{"alice:@read"}, false, CookieUser, "", "stop"},
		{[]string{"alice:@read"}, true, "bob", "stop getblock", ""},
		{[]string{"alice:@wallet"}, false, "alice", "getblock sendrawtransaction testmempoolaccept", "submitblock stop"},
		{[]string{"alice:@mine"}, false, "alice", "getblocktemplate submitblock", "getblock stop generatetoaddress prioritisetransaction"},
		{[]string{"alice:@read+stop"}, false, "alice", "getblock stop", "sendrawtransaction"},
		{[]string{"alice:uptime", "alice:@mine"}, false, "alice", "uptime submitblock", "getblock"},
		{[]string{"alice:@all"}, false, "alice", "stop getblock nosuch", ""},
		{[]string{"alice:@none"}, true, "alice", "", "stop help getblock"},
	} {
		auth := users(c.lines...)
		auth.Others(c.all)
		u, _ := auth.find(c.user, c.user)
		for method := range strings.FieldsSeq(c.may) {
			if !u.may(method) {
				t.Errorf("%v, others %v: %s may not call %s", c.lines, c.all, c.user, method)
			}
		}
		for method := range strings.FieldsSeq(c.mayNot) {
			if u.may(method) {
				t.Errorf("%v, others %v: %s may call %s", c.lines, c.all, c.user, method)
			}
		}
	}
	if locked := users("alice:@read", "bob:@none").Others(false); strings.Join(locked, " ") != CookieUser+" bob" {
		t.Errorf("locked out: %v", locked)
	}
	for _, bad := range []string{"alice:@reed", "alice:@", "alice:@read+nosuch", "alice:@read,stop"} {
		if err := users().Allow(bad); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestRolesOverSocket: methods that only a WebSocket has, and batches, are under the same
// rule.
func TestRolesOverSocket(t *testing.T) {
	s := newFake().server(t)
	if err := s.Auth.Allow(name + ":uptime+getblockcount+notifyblocks"); err != nil {
		t.Fatal(err)
	}
	c := run(t, s).socket(t, true)
	for body, want := range map[string]int{
		`{"method":"notifyblocks","id":1}`: 0, `{"method":"stopnotifyblocks","id":1}`: CodeForbidden, `{"method":"notifynewtransactions","id":1}`: CodeForbidden,
		`{"method":"session","id":1}`: CodeForbidden, `{"method":"getblockcount","id":1}`: 0, `{"method":"stop","id":1}`: CodeForbidden,
	} {
		if got := code(t, exchange(t, c, body)); got != want {
			t.Errorf("%s: %d, want %d", body, got, want)
		}
	}
	if got := exchange(t, c, `[{"method":"getblockcount","id":1},{"method":"stop","id":2},{"method":"notifynewtransactions","id":3}]`); strings.Count(got, `"code":-2,`) != 2 {
		t.Errorf("a batch: %s", got)
	}
}

// TestHashedLine: what is printed lets the user in, by that password alone.
func TestHashedLine(t *testing.T) {
	line, err := HashedLine("alice", "pass:word")
	if err != nil {
		t.Fatal(err)
	}
	again, _ := HashedLine("alice", "pass:word")
	auth := &Auth{}
	if err := auth.AddHashed(line); err != nil || line == again {
		t.Fatalf("%s, %s: %v", line, again, err)
	}
	for password, want := range map[string]bool{"pass:word": true, "": false, "password": false} {
		if _, ok := auth.find("alice", password); ok != want {
			t.Errorf("%q: %v", password, ok)
		}
	}
	if _, err := HashedLine("a:b", "x"); err == nil {
		t.Error("a name with a colon was taken")
	}
	if a := NewPassword(); len(a) < 40 || a == NewPassword() {
		t.Errorf("a new password is %q", a)
	}
}
