// Package world is the game itself: maps with walls and portals, how a player
// walks, and who is seen where. It is pure: no I/O, no clock, no randomness, no
// goroutines, and it knows neither connections nor shards. Whoever calls it brings
// the events in and sends out the bytes that it makes.
//
// A World is what never changes: it may be read by any number of shards. An Area is
// the living part of one map and belongs to one shard.
package world
