// Package proto is the game's protocol: this comment defines it, byte for byte, and
// the code below reads and writes it.
//
// # Stream
//
// One TCP connection per player. Both directions are a sequence of frames with
// nothing between them. A frame is a type (one byte) and fields at fixed offsets;
// some end in byte strings whose lengths are among the fixed fields. There is no
// other length prefix: the type gives the size of the fixed part, the fixed part
// the size of the rest. Numbers are unsigned and little endian: u8, u16, u32 have
// 1, 2, 4 bytes. Byte strings are not terminated and not padded. "@4" means at
// offset 4 from the frame's first byte. Flags are bit masks: flag 1 is bit 0, flag
// 2 is bit 1; several may be set, and bits not described here are to be ignored.
//
// # Requests: client to server
//
// Each request carries a tag, any u8 of the client's choice, and is answered once,
// with the same tag (the exceptions: see The end).
//
//	LOGIN   0x01  @1 u8 tag  @2 u8 n (1..24)  @3 u8 t (1..64)  @4 n bytes name  @4+n t bytes token
//	MOVE    0x02  @1 u8 tag  @2 u8 direction (0..3)                                     3 bytes
//	CHAT    0x03  @1 u8 tag  @2 u8 n (0..24)  @3 u8 t (1..200) @4 n bytes to    @4+n t bytes text
//	PING    0x04  @1 u8 tag                                                             2 bytes
//	SAVE    0x05  @1 u8 tag                                                             2 bytes
//	LOGOUT  0x06  @1 u8 tag                                                             2 bytes
//	RANKING 0x07  @1 u8 tag                                                             2 bytes
//
// A name is 1 to 24 of the characters A-Z a-z 0-9 _ and -; case matters. A token is
// any bytes; it is the player's password. A name that nobody has used yet is
// registered with the token that comes with it. Directions: 0 north (y-1), 1 east
// (x+1), 2 south (y+1), 3 west (x-1); x grows to the east and y to the south, from
// 0 to at most 254. A new player starts on one of the datapack's start maps, at a
// spawn point that depends on the name alone: the same in every run, and for two
// names perhaps on two maps. Walls are not sent: a client without the datapack finds
// them by walking.
//
// CHAT with n = 0 goes to everyone on the sender's map, the sender included. With n
// > 0 it goes to the player of that name, on whatever map; that may be the sender.
// Text is any bytes, by custom UTF-8: who displays it must not trust it.
//
// # Answers: server to client
//
//	WELCOME 0x81  @1 u8 tag  @2 u8 flags  @3 u16 map  @5 u8 x  @6 u8 y                  7 bytes
//	MOVED   0x82  @1 u8 tag  @2 u8 flags  @3 u16 map  @5 u8 x  @6 u8 y                  7 bytes
//	CHATTED 0x83  @1 u8 tag                                                             2 bytes
//	PONG    0x84  @1 u8 tag                                                             2 bytes
//	SAVED   0x85  @1 u8 tag                                                             2 bytes
//	BYE     0x86  @1 u8 tag                                                             2 bytes
//	REFUSED 0x87  @1 u8 tag  @2 u8 code                                                 3 bytes
//	RANKED  0x88  @1 u8 tag  @2 u16 n (0..290)  @4 n bytes of ranks
//
// WELCOME answers LOGIN: where the player is. Flag 1: the name is new and was
// registered. Flag 2: another connection of this player was ended for this one. map
// is the index, from 0, of a map in the order of the datapack's manifest. MOVED
// answers MOVE: where the player is after it. Flag 1: a wall or the map's edge was
// in the way and the player stayed. Flag 2: the step ended on a portal, and the
// player is where that leads, on this map or another. Players do not stand in each
// other's way, so the end of a walk depends on the walker's own moves alone.
// CHATTED answers CHAT: the line is on its way to those who are to hear it. PONG
// answers PING. SAVED answers SAVE: everything the player did before the SAVE is on
// disk and survives a crash of the server or a loss of power. BYE answers LOGOUT:
// the same holds, and the server ends the stream behind it. REFUSED may come instead
// of any of these but PONG; the connection goes on, except after code 11, and after
// code 7 to a LOGOUT, which ends the stream as BYE does.
//
// RANKED answers RANKING: the players, at most 10, who have done most of all that the
// server's ledger remembers, the first one first, and of two with as much the one
// whose name has the lower bytes. What a player does counts when he has left and the
// ledger has been told, which may be some seconds later. Ranks follow each other
// without gaps:
//
//	RANK       @0 u32 points  @4 u8 n (1..24)  @5 n bytes name
//
// Points are MOVEs that were carried out; 4294967295 stands for that many or more. A
// server without a ledger refuses with code 13. (RANKING came later than the rest: a
// server from before takes it for malformed.)
//
// Codes of REFUSED (R) and KICKED (K):
//
//	 1 malformed     K: not a frame of this protocol
//	 2 flood         K: more frames than allowed
//	 3 not-logged-in R: MOVE, CHAT, SAVE, LOGOUT or RANKING, and nobody is logged in
//	 4 logged-in     R: LOGIN, and somebody is logged in
//	 5 bad-name      R: LOGIN or CHAT with a name that has another character
//	 6 bad-token     R: LOGIN, and the name is registered with another token
//	 7 storage       R: LOGIN, SAVE or LOGOUT, and the player's file could not be read or written;
//	                    RANKING, and the ledger could not be read
//	 8 corrupt       R: LOGIN, and the player's file is damaged; it is kept for the operator
//	 9 no-player     R: CHAT to a player who is not logged in
//	10 taken-over    K, or R to a LOGIN: a later LOGIN got the player
//	11 full          R to a LOGIN, then K: his map has no room. K behind a MOVED: nor has the map he stepped to
//	12 logins        K: the fifth LOGIN of the connection was refused
//	13 no-ledger     R: RANKING, and the server keeps no ledger
//	14 busy          R: RANKING, and the server has too many of them to answer already
//
// # Frames that the server sends unasked
//
//	VIEW    0x90  @1 u8 flags  @2 u16 map  @4 u32 tick  @8 u16 n (1..)  @10 n bytes of entries
//	HEARD   0x91  @1 u8 flags  @2 u8 n (1..24)  @3 u8 t (1..200)  @4 n bytes from  @4+n t bytes text
//	KICKED  0x92  @1 u8 code                                                            2 bytes
//
// VIEW tells who is on the player's map, the player included. A map sends it every
// 150 ms, and only if something has changed. Flag 1: forget everyone seen before;
// what follows is all there is, if need be in several frames of which only the
// first has the flag. The first VIEW behind a WELCOME, and behind a MOVED to another
// map, has it. Entries follow each other without gaps, never cut by a frame's end,
// and take effect in order:
//
//	ENTERED 1  @1 u16 id  @3 u8 x  @4 u8 y  @5 u8 n (1..24)  @6 n bytes name
//	MOVED   2  @1 u16 id  @3 u8 x  @4 u8 y                                              5 bytes
//	LEFT    3  @1 u16 id                                                                3 bytes
//
// An id stands for one player on this map from its ENTERED to its LEFT; afterwards
// it may be given to another, and a player who comes back, or is taken over, has a
// new one. A name is on a map once at most, and LEFT comes before an ENTERED of the
// same name, perhaps in the same frame: one's own entry is the one with one's own
// name. Who enters and leaves a map between two ticks is not shown. map is that of
// the last WELCOME or MOVED before the VIEW. tick counts this map's ticks and never
// decreases on one connection.
//
// HEARD is a line of chat. Flag 1: it was meant for this player alone. KICKED says
// why the server ends the stream; it is the last frame.
//
// # Conversation
//
// The client connects and sends LOGIN. WELCOME or REFUSED follows; after REFUSED it
// may send LOGIN again, but five in all: the fifth REFUSED of a LOGIN, with codes 5
// to 8 or 10, is followed by KICKED 12.
//
// Frames are read in order. The client need not wait for answers: while a LOGIN is
// not answered, or 64 requests are not, the server still reads and answers PINGs, up
// to the first other frame; that, and all behind it, waits. (A client that keeps its
// tags below 64 and uses each again only when it is answered never gets there, and
// its PINGs never wait.) PING needs no login.
//
// LOGOUT, or any end of the connection, saves the player. Behind a LOGOUT, unless
// it is refused with code 3, nothing is read, not even PING: what follows is
// dropped. BYE or REFUSED 7 comes even if another LOGIN takes the player over
// meanwhile; KICKED 11 for an earlier MOVE may come instead.
//
// When a player logs in a second time with the right token, the older connection
// gets KICKED 10, its frames that were not yet read are dropped, and the newer one
// goes on with the player as it is, under a new id. Whether a LOGIN that races with
// the end of the older connection gets flag 2 is a matter of luck.
//
// A frame with an unknown type, or with a length or direction out of its range,
// is answered with KICKED 1, as soon as that byte is read; a frame that is well
// formed never is. Every frame that is read counts for KICKED 2, LOGIN and PING too
// and also before the login: by default 200 at once, and then 100 per second.
//
// # The end
//
// The stream may also end without KICKED: when the server stops (all players
// are saved), and at limits that its operator can set: connections in all and per
// address, time in which the client sends nothing, and bytes that wait to be read
// (by default 1 MiB by the server, 4 MiB by the client; the end is a reset then).
// A client that ends its own direction (shutdown) has ended the connection: it may
// get nothing more.
//
// A request that is not answered when the stream ends, with KICKED or without, may
// or may not have been carried out; one behind a LOGOUT has not. There are no other
// exceptions to "answered once".
//
// # Order
//
// Guaranteed: the answers to MOVE and to CHAT with n = 0 come in the order of their
// requests, as one sequence; so do the answers to SAVE, as another; so do PONGs. A
// REFUSED has the place of what it stands for. A MOVE has its effect before any
// later MOVE, SAVE, LOGOUT or CHAT with n = 0. Lines that one player says to a map
// come in the order they were said, to each who hears them, and so do lines that
// one player says to another. When a LOGIN has been read only PONGs come before its
// answer. BYE is the last frame, after the answers to all earlier requests. VIEWs of
// one map come in order.
//
// Left open: everything else. PONG, SAVED, VIEW, HEARD, RANKED and the answer to a
// CHAT with n > 0 may come between any two frames of the sequences above; tags tell
// what an answer belongs to. How changes are grouped into VIEW frames depends on time;
// what they add up to does not. Who hears a line said to a map while he himself
// enters or leaves it is a matter of luck; he has entered it for certain when a VIEW
// of it has come, or the answer to a SAVE, or to a CHAT with n = 0, that was sent
// behind the LOGIN or MOVE.
package proto
