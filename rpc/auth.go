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
	"strings"

	"github.com/karatcoin/karat/internal/wholefile"
)

// CookieUser is the user whose password is made anew at each start and stands in
// the cookie file.
const CookieUser = "__cookie__"

// User is who may call methods.
type User struct {
	Name string
	salt string
	hash [sha256.Size]byte // HMAC-SHA256 of the password under the salt
}

// may reports whether the user may call a method: so far, who is let in may call
// all.
func (u *User) may(string) bool { return u != nil }

// Auth knows the users. It is not changed while a server uses it.
type Auth struct{ users []*User }

// AddPassword lets a user in by a password.
func (a *Auth) AddPassword(name, password string) error {
	if name == "" || strings.Contains(name, ":") {
		return fmt.Errorf("a user's name must not be empty and have no colon: %q", name)
	}
	salt := rand.Text()
	a.users = append(a.users, &User{Name: name, salt: salt, hash: hashPassword(salt, password)})
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
	a.users = append(a.users, &User{Name: name, salt: salt, hash: [sha256.Size]byte(hash)})
	return nil
}

// AddCookie makes a password for CookieUser, writes both to a file that only the
// user can read, and returns what removes it.
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

func hashPassword(salt, password string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, []byte(salt))
	mac.Write([]byte(password))
	return [sha256.Size]byte(mac.Sum(nil))
}

// check finds the user of a request. It takes the same time for every wrong one.
func (a *Auth) check(r *http.Request) (*User, bool) {
	name, password, ok := r.BasicAuth()
	if !ok {
		return nil, false
	}
	return a.find(name, password)
}

func (a *Auth) find(name, password string) (*User, bool) {
	var found *User
	for _, u := range a.users {
		hash := hashPassword(u.salt, password)
		same := subtle.ConstantTimeCompare([]byte(u.Name), []byte(name)) & subtle.ConstantTimeCompare(hash[:], u.hash[:])
		if same == 1 {
			found = u
		}
	}
	return found, found != nil
}
