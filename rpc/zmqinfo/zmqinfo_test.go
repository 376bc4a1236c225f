package zmqinfo

import "testing"

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, network, address string }{
		{"hashblock=tcp://127.0.0.1:28332", "tcp", "127.0.0.1:28332"},
		{"rawtx=unix:/run/karat.sock", "unix", "/run/karat.sock"},
		{"sequence=ipc:///run/karat.sock", "unix", "/run/karat.sock"},
	} {
		e, err := Parse(c.text, 5)
		network, address := e.Listen()
		if err != nil || network != c.network || address != c.address || e.HighWater != 5 {
			t.Errorf("%s: %v, %s %s", c.text, err, network, address)
		}
	}
	for _, text := range []string{"", "hashblock", "block=tcp://127.0.0.1:1", "hashblock=foo", "hashblock=tcp://", "=tcp://127.0.0.1:1"} {
		if _, err := Parse(text, 1); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
