package rpc

import (
	"net/http"
	"net/http/pprof"
	"strings"
)

// profilesPrefix is where Go's tools look for profiles.
const profilesPrefix = "/debug/pprof/"

// serveProfile gives a profile of the program to users who may call everything: a profile
// tells what the node does for whom, and making one costs processor time. The command line
// is not told, since hashes of passwords may stand there.
func (s *Server) serveProfile(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && site != "same-origin" {
		http.Error(w, "a page of another site may not ask for profiles", http.StatusForbidden) // making one costs
		return
	}
	user, ok := s.userOf(r)
	if !ok {
		s.refuse(w, r)
		return
	}
	if !user.mayAll() {
		http.Error(w, "the user "+user.Name+" may not call everything, and so not this", http.StatusForbidden)
		return
	}
	if r.Method != http.MethodGet {
		http.Error(w, "profiles are asked for by GET", http.StatusMethodNotAllowed)
		return
	}
	leave, ok := s.slow.try(user.Name)
	if !ok {
		http.Error(w, "other slow calls are under way", http.StatusServiceUnavailable)
		return
	}
	defer leave()
	ctx, cancel := s.inTime(r.Context())
	defer cancel()
	switch r = r.WithContext(ctx); strings.TrimPrefix(pathOf(r), profilesPrefix) {
	case "cmdline":
		http.NotFound(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r) // which also has all that are named
	}
}
