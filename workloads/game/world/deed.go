package world

// Deed is what a player has done in one session, for a ledger.
type Deed struct {
	Player string
	// AtMs is when the session ended, in milliseconds since 1970.
	AtMs   int64
	Points uint64
}

// Rank is a player and the points of all his deeds.
type Rank struct {
	Player string
	Points uint64
}
