// Package dev is the workbench of a developer's chain (`karatd dev`): accounts whose words
// are known, blocks when a transaction comes, at an interval or by hand.
//
// All that it does is done by the rules: coins move by signed transactions, blocks have
// their proof of work, and another node follows. What makes it a workbench is that blocks
// cost nothing on a network of fixed difficulty, and that the keys are at hand.
package dev
