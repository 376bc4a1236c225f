// Package store keeps a chain on disk: header records, coins and the locations of
// bodies in one LevelDB, bodies and undo data in append-only segment files, and
// a write-back cache of coins in memory. It decides nothing about blocks.
//
// The one idea is the step. Nothing is durable when it is written. A step first
// syncs the segment files, and then makes one atomic, synced write to the database,
// which names what the files now hold. So after a crash at any instruction the
// database is as after one of the steps, it names only what is there, and a start
// needs neither a repair nor a decision.
//
//	s, err := store.Open(dir, store.Options{Network: id})
//	err = s.WriteBlock(at, raw)          // readable at once, durable after the next step
//	err = s.ApplyUpdate(update)          // in the cache only
//	err = s.SaveHeaders(records)         // a step: bodies, and what is known of headers
//	err = s.Flush(records, at)           // a step that also has the coins, and whose they are
//
// goleveldb keeps its word only under rules, each of which was found by cutting its
// power in simulation:
//
//   - A write whose order matters is always synced, and carries the block that the
//     coins reflect.
//   - A journal is synced when it is closed.
//   - After the first failed write nothing is written any more, not even by Close,
//     which may wait for ever.
//   - What a failed write left is read after the restart, and never assumed.
//
// A change of this package must keep them. docs/storage.md has the formats, the
// write order and what is promised of each fault.
package store
