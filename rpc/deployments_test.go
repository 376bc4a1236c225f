package rpc_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestDeployments: Lightning nodes read here whether taproot holds. What is compared is
// what Bitcoin Core answers on its regtest, but for a fork that it has for tests.
func TestDeployments(t *testing.T) {
	s := start(t, nil)
	blocks := call[[]string](s, "generatetoaddress", 2, s.anchor)
	genesis := call[string](s, "getblockhash", 0)
	const always = `"NULLDUMMY","P2SH","TAPROOT","WITNESS"`
	const later = `"CHECKLOCKTIMEVERIFY","CHECKSEQUENCEVERIFY","DERSIG",`
	answer := func(hash string, height int, flags string) string {
		const buried = `{"type":"buried","active":true,"height":1}`
		return fmt.Sprintf(`{"hash":%q,"height":%d,"script_flags":[%s],"deployments":{"bip34":%[4]s,"bip66":%[4]s,"bip65":%[4]s,"csv":%[4]s,"segwit":%s}}`,
			hash, height, flags, buried, `{"type":"buried","active":true,"height":0}`)
	}
	for _, c := range []struct {
		params []any
		want   string
	}{
		{nil, answer(blocks[1], 2, later+always)},
		{[]any{nil}, answer(blocks[1], 2, later+always)},
		{[]any{blocks[0]}, answer(blocks[0], 1, later+always)},
		{[]any{genesis}, answer(genesis, 0, always)},
	} {
		if got := call[json.RawMessage](s, "getdeploymentinfo", c.params...); string(got) != c.want {
			t.Errorf("%v: %s, want %s", c.params, got, c.want)
		}
	}
	if got := refused(s, "getdeploymentinfo", strings.Repeat("5", 64)); got != "-5 Block not found" {
		t.Error(got)
	}
	if got := refused(s, "getdeploymentinfo", "zz"); got != "-8 blockhash must be of length 64 (not 2, for 'zz')" {
		t.Error(got)
	}
}
