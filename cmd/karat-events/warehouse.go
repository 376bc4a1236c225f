package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/karatcoin/karat/chain/consensus"
	"github.com/karatcoin/karat/chain/journal"
	"github.com/karatcoin/karat/chain/types"
)

//go:embed schema.sql
var schema string

// schemaVersion is that of schema.sql.
const schemaVersion = 1

// position is a place in the journal, and which message of the stream led there.
type position struct {
	journal.Position
	sequence uint64
}

// height is that of the last block of a database that is there, or -1 if there is none.
func (p position) height() int64 {
	if p.Steps == 0 {
		return -1
	}
	return int64(p.Block.Height)
}

// warehouse is the database. One goroutine uses it at a time.
type warehouse struct {
	conn   *pgx.Conn
	schema string // the name of the schema that has the tables
	params *consensus.Params
}

// openWarehouse connects to the database. A URL or a line of keywords says where it is; what
// it lacks is in the environment variables of PostgreSQL (PGHOST, PGPASSWORD, …).
func openWarehouse(ctx context.Context, where, schema string, params *consensus.Params) (*warehouse, error) {
	config, err := pgx.ParseConfig(where)
	if err != nil {
		return nil, fmt.Errorf("%w: --database: %w", errFinal, withoutPassword(where, err))
	}
	config.RuntimeParams["search_path"] = pgx.Identifier{schema}.Sanitize()
	config.RuntimeParams["application_name"] = program
	// A machine that has vanished loses its lock.
	config.RuntimeParams["tcp_keepalives_idle"], config.RuntimeParams["tcp_keepalives_interval"], config.RuntimeParams["tcp_keepalives_count"] = "30", "10", "3"
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &warehouse{conn: conn, schema: schema, params: params}, nil
}

// withoutPassword is an error about where the database is. pgx hides most passwords, but not
// one with a sign that a URL must not have, or that stands apart from its equals sign.
func withoutPassword(where string, err error) error {
	user, _, _ := strings.Cut(where, "@")
	if _, user, _ = strings.Cut(user, "://"); strings.Contains(user, ":") || strings.Contains(strings.ToLower(where), "pass") {
		return errors.New("it cannot be read: want postgres://USER@HOST:PORT/NAME; a password is best left to PGPASSWORD or ~/.pgpass")
	}
	return err
}

func (w *warehouse) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.conn.Close(ctx) // what matters was committed
}

// lockKey is the one half of the number of the lock that the filling program holds; the
// other half is of the schema.
const lockKey = 0x6b72

// lock waits until no other program fills the tables. waits is called if one does.
func (w *warehouse) lock(ctx context.Context, waits func()) error {
	var got bool
	if err := w.conn.QueryRow(ctx, "select pg_try_advisory_lock($1, hashtext($2))", lockKey, w.schema).Scan(&got); err != nil || got {
		return err
	}
	waits()
	_, err := w.conn.Exec(ctx, "select pg_advisory_lock($1, hashtext($2))", lockKey, w.schema)
	return err
}

// prepare makes the tables if they are not there, and returns up to where they are filled.
func (w *warehouse) prepare(ctx context.Context) (at position, err error) {
	var there bool
	if err := w.conn.QueryRow(ctx, "select to_regclass('position') is not null").Scan(&there); err != nil {
		return at, err
	}
	if there {
		return w.position(ctx)
	}
	err = pgx.BeginFunc(ctx, w.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "create schema if not exists "+pgx.Identifier{w.schema}.Sanitize()); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, schema); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "insert into position (version, network, identity, steps, sequence, updated) values ($1, $2, $3, 0, 0, now())",
			schemaVersion, w.params.Name, w.identity())
		return err
	})
	return at, err
}

func (w *warehouse) identity() []byte { return shown(w.params.Identity()) }

// errFinal is wrapped by errors that do not go away by themselves.
var errFinal = errors.New("cannot go on")

// position reads up to where the tables are filled.
func (w *warehouse) position(ctx context.Context) (at position, err error) {
	var version int
	var network string
	var identity, hash []byte
	var height *uint32
	err = w.conn.QueryRow(ctx, "select version, network, identity, steps, height, hash, sequence from position").
		Scan(&version, &network, &identity, &at.Steps, &height, &hash, &at.sequence)
	var missing *pgconn.PgError
	switch {
	case errors.As(err, &missing) && missing.Code == "42P01": // undefined_table
		return at, fmt.Errorf("%w: schema %s has no tables: %s makes and fills them", errFinal, w.schema, program)
	case errors.Is(err, pgx.ErrNoRows):
		return at, fmt.Errorf("%w: the table position of schema %s is empty: drop the schema, and it is filled anew", errFinal, w.schema)
	case err != nil:
		return at, err
	case version != schemaVersion:
		return at, fmt.Errorf("%w: schema %s has version %d, and this program makes version %d: use another --schema, or drop that one; it is filled anew", errFinal, w.schema, version, schemaVersion)
	case string(identity) != string(w.identity()):
		return at, fmt.Errorf("%w: schema %s is of network %s (%x), and --network is %s (%x): use another --schema", errFinal, w.schema, network, identity, w.params.Name, w.identity())
	case height != nil:
		at.Block.Height = *height
		at.Block.Hash, err = stored(hash)
	}
	return at, err
}

// stored is the hash of bytes in the order in which it is shown.
func stored(b []byte) (h types.Hash, err error) {
	if len(b) != len(h) {
		return h, fmt.Errorf("%w: the tables have a hash of %d bytes: drop the schema, and it is filled anew", errFinal, len(b))
	}
	copy(h[:], shown([32]byte(b)))
	return h, nil
}

// hashAt is the hash of the block at a height of the tables.
func (w *warehouse) hashAt(ctx context.Context, height uint32) (types.Hash, error) {
	var hash []byte
	err := w.conn.QueryRow(ctx, "select hash from blocks where height = $1", height).Scan(&hash)
	if err != nil {
		return types.Hash{}, err
	}
	return stored(hash)
}

// write does what a batch says, behind a position, and keeps the new one: both or neither.
func (w *warehouse) write(ctx context.Context, from position, b *batch) error {
	return pgx.BeginFunc(ctx, w.conn, func(tx pgx.Tx) error {
		if b.keeps < from.height() {
			for _, t := range tables {
				if _, err := tx.Exec(ctx, "delete from "+t.name+" where height > $1", b.keeps); err != nil {
					return err
				}
			}
		}
		for i, t := range tables {
			if len(b.blocks) == 0 {
				break
			}
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, b.source(i)); err != nil {
				return err
			}
		}
		return w.move(ctx, tx, from, b.at)
	})
}

// move changes the position, if it is still what it was.
func (w *warehouse) move(ctx context.Context, tx pgx.Tx, from, to position) error {
	tag, err := tx.Exec(ctx, "update position set steps = $1, height = $2, hash = $3, sequence = $4, updated = now() where steps = $5 and sequence = $6",
		to.Steps, to.Block.Height, shown(to.Block.Hash), to.sequence, from.Steps, from.sequence)
	if err == nil && tag.RowsAffected() != 1 {
		err = fmt.Errorf("the position of schema %s was changed by somebody else", w.schema)
	}
	return err
}

// transient reports whether an error may go away by itself: nobody answers, or the server
// stops, starts, or is full.
func transient(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code[:2] {
		case "08", "40", "53", "57", "58":
			return true
		}
		return false
	}
	return !errors.Is(err, errFinal)
}
