package rpc

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// The kinds of errors of calls that brought no answer, by what can be done about them.
var (
	// ErrUnreachable is wrapped by the errors of calls that no node answered.
	ErrUnreachable = errors.New("no node answers")
	// ErrNoCookie is an ErrUnreachable: the node's cookie cannot be read, so it may not run.
	ErrNoCookie = fmt.Errorf("%w: there is no cookie", ErrUnreachable)
	// ErrUnauthorized is wrapped by the errors of calls that a node refused for user
	// and password.
	ErrUnauthorized = errors.New("the node refuses user and password")
	// ErrNotNode is something else than a node's RPC server, such as its port for peers.
	ErrNotNode = errors.New("what answers is no RPC server of a node")
	// ErrScheme is a server that speaks TLS where a client does not, or the other way round.
	ErrScheme = errors.New("one side speaks TLS, and the other does not")
	// ErrCertificate is a server that speaks TLS and is not who it should be.
	ErrCertificate = errors.New("the node's certificate is not trusted")
)

// callError is of a kind. Its text is for people, and hides how Go's library says it.
type callError struct {
	text        string
	kind, cause error
}

// Error implements error.
func (e *callError) Error() string { return e.text }

// Unwrap returns the kind and the cause.
func (e *callError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}

// unanswered says what it means that a request failed, so that the user of a command
// reads that the node does not run, not that a socket was refused.
func (c *Client) unanswered(ctx context.Context, err error) error {
	fail := func(kind error, format string, args ...any) error {
		return &callError{fmt.Sprintf(format, args...), kind, err}
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded): // the caller waits no longer
		return fail(ErrUnreachable, "%s at %s in time", ErrUnreachable, c.url)
	case ctx.Err() != nil:
		return err
	}
	var (
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		pin         *pinError
		asked       *url.Error
		name        *net.DNSError
		system      *os.SyscallError
		network     *net.OpError
	)
	text := err.Error()
	switch {
	case errors.As(err, &pin):
		return fail(ErrCertificate, "%s: %v", c.url, pin)
	case errors.As(err, &certificate):
		return fail(ErrCertificate, "the certificate of the node at %s is not trusted (%v)", c.url, certificate.Err)
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return fail(ErrScheme, "the node at %s does not speak TLS: use http://", c.url)
	case strings.Contains(text, "TLS handshake timeout"): // a plain server waits for the rest of a line
		return fail(ErrScheme, "what listens at %s makes no TLS connection: if the node speaks none, use http://", c.url)
	case strings.Contains(text, "malformed HTTP"): // its type is the library's own
		return fail(ErrNotNode, "what answers at %s does not speak HTTP: is it the port for peers?", c.url)
	case errors.As(err, &name) && name.IsNotFound:
		return fail(ErrUnreachable, "%s at %s: there is no host %s", ErrUnreachable, c.url, name.Name)
	case errors.As(err, &system):
		return fail(ErrUnreachable, "%s at %s (%v)", ErrUnreachable, c.url, system.Err)
	case errors.As(err, &asked) && asked.Timeout():
		return fail(ErrUnreachable, "%s at %s in time", ErrUnreachable, c.url)
	case errors.As(err, &network):
		return fail(ErrUnreachable, "%s at %s (%v)", ErrUnreachable, c.url, network.Err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the node ended meanwhile
		return fail(ErrUnreachable, "%s at %s any more: it closed the connection", ErrUnreachable, c.url)
	}
	return err
}

// plainly says what is wrong with JSON of an unexpected type without Go's types, which tell nobody
// anything.
func plainly(err error) error {
	var other *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return errors.New("it is cut off, or no JSON")
	case !errors.As(err, &other):
		return err
	case other.Field == "":
		return fmt.Errorf("it is of type %.40s", other.Value)
	}
	return fmt.Errorf("%s is of type %.40s", other.Field, other.Value)
}
