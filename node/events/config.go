package events

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/internal/wholefile"
)

// MaxReplicas is how many servers of a cluster can keep a stream.
const MaxReplicas = 5

const (
	maxFile  = 1 << 20          // bytes of a file of credentials or certificates
	dialTime = 10 * time.Second // until a server must answer
)

// Config is what an operator says of the stream.
type Config struct {
	Servers     string         // URLs of one cluster, with commas between them; empty: no events
	Format      journal.Format // of the messages
	From        uint32         // height of the block with which a stream that is new begins
	Replicas    int            // servers of the cluster that keep a stream that is new; 0: 1
	Credentials string         // file of NATS credentials; empty: none
	Authority   string         // file of certificates by which servers are known; empty: the machine's
	Certificate string         // file of this client's certificate; empty: none
	Key         string         // file of its key
}

// Check checks what can be known before a server is asked. An error never has more of a URL
// than its host, since the rest may be a password.
func (c *Config) Check() error {
	for i, text := range strings.Split(c.Servers, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("URL %d cannot be read: want nats://HOST:PORT or tls://HOST:PORT", i+1)
		}
		switch {
		case u.Scheme != "nats" && u.Scheme != "tls":
			return fmt.Errorf("URL %d does not begin with nats:// or tls://", i+1)
		case u.Hostname() == "":
			return fmt.Errorf("URL %d has no host", i+1)
		case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
			return fmt.Errorf("URL %d has more than a host and a port: %s", i+1, u.Host)
		}
	}
	if _, err := journal.ParseFormat(string(c.Format)); err != nil {
		return err
	}
	if (c.Certificate == "") != (c.Key == "") {
		return errors.New("a certificate and its key need each other")
	}
	if c.Credentials != "" {
		if _, err := wholefile.Read(c.Credentials, maxFile); err != nil {
			return err
		}
	}
	_, err := c.tls()
	return err
}

// Where is where events go, without names and passwords.
func (c *Config) Where() string {
	var hosts []string
	for _, text := range strings.Split(c.Servers, ",") {
		if u, err := url.Parse(strings.TrimSpace(text)); err == nil {
			hosts = append(hosts, u.Scheme+"://"+u.Host)
		}
	}
	return strings.Join(hosts, ",")
}

// Readable reports whether a password goes to another machine without encryption.
func (c *Config) Readable() bool {
	for _, text := range strings.Split(c.Servers, ",") {
		u, err := url.Parse(strings.TrimSpace(text))
		if err != nil || u.Scheme == "tls" || u.User == nil || c.Authority != "" {
			continue
		}
		ip := net.ParseIP(u.Hostname())
		if u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return true
		}
	}
	return false
}

// tls is how servers are spoken to, if files say anything of that.
func (c *Config) tls() (*tls.Config, error) {
	if c.Authority == "" && c.Certificate == "" {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.Authority != "" {
		text, err := wholefile.Read(c.Authority, maxFile)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificate in PEM", c.Authority)
		}
	}
	if c.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// Options are those of a connection that is made by the configuration, under a name that
// servers are told. Files are read anew for each connection, since they may change.
func (c *Config) Options(name string) ([]nats.Option, error) {
	o := []nats.Option{
		nats.Name(name), nats.Timeout(dialTime), nats.NoReconnect(), nats.MaxPingsOutstanding(2), nats.PingInterval(dialTime),
		// Without a handler the client writes errors to standard error. Who waits is told of them.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
	if c.Credentials != "" {
		o = append(o, nats.UserCredentials(c.Credentials))
	}
	t, err := c.tls()
	if t != nil {
		o = append(o, nats.Secure(t))
	}
	return o, err
}
