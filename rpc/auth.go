package rpc

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/karatcoin/karat/internal/wholefile"
)

// CookieUser is the user whose password is made anew at each start and stands in
// the cookie file. The name is Bitcoin Core's, so that its clients find it.
const CookieUser = "__cookie__"

// User is who may call methods. The password itself is not kept, so that a dump of
// the node's memory does not show it.
type User struct {
	Name string
	salt string
	hash [sha256.Size]byte // HMAC-SHA256 of the password under the salt
	// rights are replaced as a whole: connections know their user, and go on with another list. Without any a
	// user may call all.
	rights atomic.Pointer[rights]
}

// rights are what a user may call.
type rights struct {
	only map[string]bool // these methods; nil: all
	all  bool            // all are in the user's list, known or not
	lost chan struct{}   // closed when rights take their place that lack some of them
}

func newRights() *rights { return &rights{lost: make(chan struct{})} }

// exceed reports whether they have something that other rights lack.
func (r *rights) exceed(other *rights) bool {
	switch {
	case other.only == nil || other.all:
		return false
	case r.only == nil || r.all:
		return true
	}
	for method := range r.only {
		if !other.only[method] {
			return true
		}
	}
	return false
}

// replaceRights gives a user other rights. Whoever waits for a loss is told, or waits on.
func (u *User) replaceRights(r *rights) {
	old := u.rights.Load()
	less := old.exceed(r)
	if !less {
		r.lost = old.lost
	}
	u.rights.Store(r)
	if less {
		close(old.lost)
	}
}

func newUser(name, salt string, hash [sha256.Size]byte) *User {
	u := &User{Name: name, salt: salt, hash: hash}
	u.rights.Store(newRights())
	return u
}

func (u *User) may(method string) bool {
	r := u.rights.Load()
	return r == nil || r.only == nil || r.all || r.only[method]
}

// mayAll reports whether the user may call everything, as an operator does.
func (u *User) mayAll() bool {
	r := u.rights.Load()
	return r == nil || r.only == nil || r.all
}

// Auth knows the users. It is complete before a server uses it; then Adopt alone changes it.
type Auth struct {
	// Before is who was known before, when users are read again: a password that is the same
	// keeps its user. It may be nil.
	Before *Auth

	mu sync.RWMutex
	// Guarded by mu:
	users []*User

	known knownHeaders
	turns atomic.Uint64 // how often the users were replaced: who was found before may not be one now
}

func (a *Auth) list() []*User {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.users
}

func (a *Auth) add(u *User) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users = append(slices.Clip(a.users), u)
}

// KeepCookie takes over the user of the cookie from Before.
func (a *Auth) KeepCookie() {
	for _, u := range a.Before.list() {
		if u.Name == CookieUser {
			a.add(newUser(u.Name, u.salt, u.hash))
		}
	}
}

// Adopt makes the users of another Auth those of this one. Who stays has the new rights from now on, also
// on connections that are open, and who goes may do nothing more on them. A WebSocket whose user loses a right
// ends: what it was told of by that right would go on.
func (a *Auth) Adopt(other *Auth) {
	before := a.list()
	var users []*User
	for _, u := range other.list() {
		same := slices.IndexFunc(before, func(old *User) bool { return old.Name == u.Name && old.salt == u.salt && old.hash == u.hash })
		if same >= 0 {
			before[same].replaceRights(u.rights.Load())
			u = before[same]
		}
		users = append(users, u)
	}
	for _, old := range before {
		if !slices.Contains(users, old) {
			old.replaceRights(&rights{only: map[string]bool{}, lost: make(chan struct{})})
		}
	}
	a.mu.Lock()
	a.users = users
	a.mu.Unlock()
	a.turns.Add(1)
	a.known.forget()
}

// knownHeaders remembers headers that were found right, since a client sends the same with
// each request and to hash the password takes longer than the rest of a short call. They
// are kept under a key that is made anew at each start, so that the node's memory does not
// show them either.
type knownHeaders struct {
	once sync.Once
	key  [sha256.Size]byte

	mu sync.RWMutex
	// Guarded by mu:
	users map[[sha256.Size]byte]*User
}

// mostHeaders is how many are remembered: one user may send the same in several forms.
const mostHeaders = 64

func (k *knownHeaders) digest(header string) [sha256.Size]byte {
	k.once.Do(func() { _, _ = rand.Read(k.key[:]) }) // it never fails
	var room [2 * sha256.Size]byte
	return sha256.Sum256(append(append(room[:0], k.key[:]...), header...))
}

func (k *knownHeaders) find(digest [sha256.Size]byte) *User {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.users[digest]
}

func (k *knownHeaders) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.users = nil
}

func (k *knownHeaders) add(digest [sha256.Size]byte, u *User) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.users == nil || len(k.users) >= mostHeaders {
		k.users = map[[sha256.Size]byte]*User{}
	}
	k.users[digest] = u
}

// AddPassword lets a user in by a password. A colon would end the name early in HTTP's
// basic authentication.
func (a *Auth) AddPassword(name, password string) error {
	if name == "" || strings.Contains(name, ":") {
		return fmt.Errorf("a user's name must not be empty and have no colon: %q", name)
	}
	if a.Before != nil {
		if u, ok := a.Before.find(name, password); ok {
			a.add(newUser(name, u.salt, u.hash))
			return nil
		}
	}
	salt := rand.Text()
	a.add(newUser(name, salt, hashPassword(salt, password)))
	return nil
}

// AddHashed lets a user in by NAME:SALT$HASH, where HASH is the HMAC-SHA256 of
// the password under the salt in hexadecimal, as Bitcoin Core's rpcauth.py makes
// it.
func (a *Auth) AddHashed(line string) error {
	name, rest, ok := strings.Cut(line, ":")
	salt, digits, ok2 := strings.Cut(rest, "$")
	hash, err := hex.DecodeString(digits)
	if !ok || !ok2 || name == "" || err != nil || len(hash) != sha256.Size {
		return errors.New("want NAME:SALT$HASH, as Bitcoin's rpcauth.py prints it")
	}
	a.add(newUser(name, salt, [sha256.Size]byte(hash)))
	return nil
}

// Allow lets a user that was added before call some methods only: NAME:METHOD+METHOD….
// Among methods may be roles: @read, @wallet, @mine, @all, and @none for nothing. More
// than one line for a user adds up. A method or user that does not exist is an error: a
// misspelt line should not lock anybody out, or in.
func (a *Auth) Allow(line string) error {
	name, list, ok := strings.Cut(line, ":")
	if !ok || list == "" {
		return errors.New("want NAME:METHOD+METHOD, or roles such as NAME:@read")
	}
	found := false
	for _, u := range a.list() {
		if u.Name != name {
			continue
		}
		found = true
		r := u.rights.Load()
		if r.only == nil {
			r.only = map[string]bool{}
		}
		for word := range strings.SplitSeq(list, "+") {
			if err := r.allow(word); err != nil {
				return err
			}
		}
	}
	if !found {
		return fmt.Errorf("there is no user %q", name)
	}
	return nil
}

// allow adds a method or a role to them, before a server uses them.
func (r *rights) allow(word string) error {
	if !strings.HasPrefix(word, "@") {
		if methods()[word] == nil {
			return fmt.Errorf("there is no method %q", word)
		}
		r.only[word] = true
		return nil
	}
	named := role(word)
	if within[named] == nil && named != roleNone {
		return fmt.Errorf("there is no role %q: want @read, @wallet, @mine, @all or @none", word)
	}
	r.all = r.all || named == roleAll
	for _, inner := range within[named] {
		for method := range strings.FieldsSeq(roles[inner]) {
			r.only[method] = true
		}
	}
	return nil
}

// Others says whether users without a list may call everything, or nothing. It is called
// after the last Allow. It returns the names of those who may call nothing.
func (a *Auth) Others(all bool) (locked []string) {
	for _, u := range a.list() {
		r := u.rights.Load()
		if r.only == nil && !all {
			r.only = map[string]bool{}
		}
		if r.only != nil && len(r.only) == 0 && !slices.Contains(locked, u.Name) {
			locked = append(locked, u.Name)
		}
	}
	return locked
}

// NewPassword returns a password that nobody guesses, of letters and digits.
func NewPassword() string { return rand.Text() + rand.Text() }

// HashedLine returns what AddHashed reads, with a new salt: the line for a password.
func HashedLine(name, password string) (string, error) {
	if err := new(Auth).AddPassword(name, password); err != nil {
		return "", err
	}
	var raw [16]byte
	if _, err := rand.Read(raw[:]); err != nil {
		return "", err
	}
	salt := hex.EncodeToString(raw[:])
	hash := hashPassword(salt, password)
	return name + ":" + salt + "$" + hex.EncodeToString(hash[:]), nil
}

// AddCookie makes a password for CookieUser, writes both to a file that only the
// operating system's user that runs the node can read, and returns what removes it.
func (a *Auth) AddCookie(path string) (remove func() error, err error) {
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, err
	}
	password := hex.EncodeToString(secret[:])
	if err := a.AddPassword(CookieUser, password); err != nil {
		return nil, err
	}
	if err := wholefile.ReplaceBytes(path, []byte(CookieUser+":"+password)); err != nil {
		return nil, fmt.Errorf("cookie: %w", err)
	}
	return func() error { return os.Remove(path) }, nil
}

// names returns how many users there are.
func (a *Auth) names() int {
	names := map[string]bool{}
	for _, u := range a.list() {
		names[u.Name] = true
	}
	return len(names)
}

func hashPassword(salt, password string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, []byte(salt))
	mac.Write([]byte(password))
	return [sha256.Size]byte(mac.Sum(nil))
}

// check finds the user of a request.
func (a *Auth) check(r *http.Request) (*User, bool) {
	digest := a.known.digest(r.Header.Get("Authorization"))
	if u := a.known.find(digest); u != nil {
		return u, true
	}
	name, password, ok := r.BasicAuth()
	if !ok {
		return nil, false
	}
	turn := a.turns.Load()
	u, ok := a.find(name, password)
	if ok {
		a.known.add(digest, u)
		if a.turns.Load() != turn {
			a.known.forget()
		}
	}
	return u, ok
}

// userOf finds the user of a request. A connection mostly says the same again: then its
// hash is compared, and no users are.
func (s *Server) userOf(r *http.Request) (*User, bool) {
	c := clientOf(r.Context())
	if c == nil {
		return s.Auth.check(r)
	}
	login := sha256.Sum256([]byte(r.Header.Get("Authorization")))
	turn := s.Auth.turns.Load()
	if c.lastUser != nil && login == c.lastLogin && turn == c.lastTurn {
		return c.lastUser, true
	}
	user, ok := s.Auth.check(r)
	c.lastUser, c.lastLogin, c.lastTurn = user, login, turn
	return user, ok
}

// find compares with every user, found or not, so that the time that it takes does
// not tell which names exist.
func (a *Auth) find(name, password string) (*User, bool) {
	var found *User
	for _, u := range a.list() {
		hash := hashPassword(u.salt, password)
		same := subtle.ConstantTimeCompare([]byte(u.Name), []byte(name)) & subtle.ConstantTimeCompare(hash[:], u.hash[:])
		if same == 1 {
			found = u
		}
	}
	return found, found != nil
}
