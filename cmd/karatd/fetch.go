package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/karatcoin/karat/chain/network"
	"github.com/karatcoin/karat/internal/cmdline"
	"github.com/karatcoin/karat/internal/wholefile"
)

// What a server of a network's file may cost.
const (
	fetchTime    = time.Minute // for all of it
	maxRedirects = 5
	maxHeader    = 64 << 10 // bytes of an answer's header
)

// networkPath is where the pages of a node have the packed file of their network.
const networkPath = "network.json"

// isURL reports whether a source is to be fetched.
func isURL(source string) bool { return strings.Contains(source, "://") }

// fetcher fetches a network's file. Its calls go the way of all others of a node, by its proxy
// if it has one.
type fetcher struct {
	stdin io.Reader
	dial  func(ctx context.Context, address string) (net.Conn, error)
	proxy bool // dial goes by one already
}

// read returns what a source has: a file, - for standard input, or an http:// or https:// URL.
// Of what is too long it returns so much that its reader refuses it.
func (f fetcher) read(ctx context.Context, source string) ([]byte, error) {
	if !isURL(source) {
		return cmdline.Await(ctx, func() ([]byte, error) {
			if source != "-" {
				data, err := wholefile.Read(source, network.MaxFile)
				if host, _, notHost := net.SplitHostPort(source); errors.Is(err, fs.ErrNotExist) && notHost == nil && host != "" {
					err = fmt.Errorf("%w (of a web server give the URL: http://%s)", err, source)
				}
				return data, err
			}
			return io.ReadAll(io.LimitReader(f.stdin, network.MaxFile+1))
		})
	}
	at, err := url.Parse(source)
	if err != nil {
		return nil, cmdline.Usagef("%w", err)
	}
	if at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return nil, cmdline.Usagef("%s: want an http:// or https:// URL, or a file", at.Redacted())
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	data, isPage, err := f.get(ctx, at)
	if err != nil || !isPage {
		return data, err
	}
	// People copy the address of an explorer, or of one of its pages, whose file lies beside them.
	for _, beside := range []*url.URL{at.JoinPath(networkPath), at.ResolveReference(&url.URL{Path: networkPath})} {
		if data, isPage, err := f.get(ctx, beside); err == nil && !isPage {
			return data, nil
		}
	}
	return nil, fmt.Errorf("%s answers with a page for people, and has no %s beside it: want the URL of a network's file", at.Redacted(), networkPath)
}

// get fetches a URL, and tells whether what came is a page.
func (f fetcher) get(ctx context.Context, at *url.URL) (data []byte, isPage bool, err error) {
	transport := &http.Transport{
		DialContext:           func(ctx context.Context, _, address string) (net.Conn, error) { return f.dial(ctx, address) },
		DisableCompression:    true, // a small answer must not become a large one
		DisableKeepAlives:     true,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   fetchTime / 4,
		ResponseHeaderTimeout: fetchTime / 2, MaxResponseHeaderBytes: maxHeader,
	}
	if !f.proxy {
		transport.Proxy = http.ProxyFromEnvironment
	}
	client := http.Client{Transport: transport, CheckRedirect: checkRedirect}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, false, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, false, err // which names the URL
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, false, fmt.Errorf("%s answers %.80s", at.Redacted(), cmdline.Printable(answer.Status))
	}
	if data, err = io.ReadAll(io.LimitReader(answer.Body, network.MaxFile+1)); err != nil {
		return nil, false, fmt.Errorf("%s: after %d bytes: %w", at.Redacted(), len(data), err)
	}
	return data, strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html"), nil
}

// checkRedirect follows a server that sends elsewhere a few times, and never out of TLS.
func checkRedirect(next *http.Request, before []*http.Request) error {
	switch {
	case len(before) > maxRedirects:
		return fmt.Errorf("it sends from one address to the next, more than %d times", maxRedirects)
	case next.URL.Scheme != "http" && next.URL.Scheme != "https":
		return errors.New("it sends to what is no web address")
	case next.URL.Scheme == "http" && before[0].URL.Scheme == "https":
		return errors.New("it sends to an address without TLS, where anybody on the way could change the file")
	}
	return nil
}
