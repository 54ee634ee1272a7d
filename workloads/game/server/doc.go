// Package server is the game's server program: a runtime.App per shard. It knows no
// execution model, makes no system call of its own, and starts no goroutine.
//
// Each shard plays three parts, and they talk to each other in messages, whether
// they are on one shard or on several:
//
//   - The gate has the connections of this shard. It reads frames, writes answers,
//     and is the only one that both other parts of a session talk to.
//   - The atlas has the maps of this shard (map i is on shard i % shards) and the
//     players who are on them.
//   - The home has the accounts of this shard (by hash of the name): it alone reads
//     and writes their files, and decides which connection a player belongs to.
//
// A fourth, the scribe, is there if the game keeps a ledger: it alone speaks with that,
// in threadlets. A gate asks the scribe of its own shard for rankings; a home tells the
// scribe of its own shard what a player has done when he has left.
//
// A session is a sequence of messages through rings that keep their order:
//
//	client - gate --login--> home --accepted--> gate --enter--> atlas --admitted--> gate
//	         gate --move, say, save, leave--> atlas --moved, said, kept--> gate --state--> home
//
// A player's state is in one place at a time: with the atlas while he plays, with his home
// before and after. What the home is to know or save comes through the gate, so
// that it arrives in the order in which it happened.
//
// Each map ticks by a timer of its own, once per Config.ViewEvery, with phases spread evenly
// over the maps. A tick makes one block of what has changed, which all who watch share.
//
// Crossing from a map of one shard to a map of another: the old atlas answers the
// move, takes the player off the map and keeps what still comes in for him. The gate
// reads that answer, sends nothing more, and posts a fence to the old atlas. The
// fence is the last message that the old atlas gets; it hands the player over with
// all that it kept, the new atlas admits him, works off what was kept, and the gate
// sends to the new atlas from then on. Nothing is lost, doubled or overtaken.
package server
