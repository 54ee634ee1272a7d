package iouring

import (
	srt "github.com/syslet/syslet/runtime"
)

// key is an entry's user data: a kind in the top byte, and what the entry
// belongs to below. A connection is its ConnID without the shard, for a ring has
// only one; a syslet is its record's slot, the record's generation and the op's
// place in its chain.
type key uint64

type kind uint8

const (
	kindNone   kind = iota // nobody waits for it
	kindRecv               // multishot
	kindSend               // one per connection
	kindCancel             // of a connection that is detached
	kindClose
	kindAccept // multishot
	kindWake   // multishot
	kindSyslet
	kindAlarm
)

const (
	kindShift = 56
	connMask  = 1<<kindShift - 1

	slotBits  = 24
	placeBits = 4
	genBits   = kindShift - slotBits - placeBits
)

const (
	acceptKey = key(kindAccept) << kindShift
	wakeKey   = key(kindWake) << kindShift
	alarmKey  = key(kindAlarm) << kindShift
)

func (k key) kind() kind { return kind(k >> kindShift) }

func connKey(kd kind, id srt.ConnID) uint64 { return uint64(kd)<<kindShift | uint64(id)&connMask }

// names reports whether k belongs to the connection with that ID.
func (k key) names(id srt.ConnID) bool { return uint64(k)&connMask == uint64(id)&connMask }

func sysletKey(slot int32, gen uint32, place int) key {
	return key(kindSyslet)<<kindShift | key(gen&(1<<genBits-1))<<(slotBits+placeBits) | key(place)<<slotBits | key(slot)
}

// slot is that of a connection or of a syslet's record.
func (k key) slot() int32 { return int32(k & (1<<slotBits - 1)) }

func (k key) place() int { return int(k >> slotBits & (1<<placeBits - 1)) }
