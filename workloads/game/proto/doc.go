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
// offset 4 from the frame's first byte.
//
// # Requests: client to server
//
// Each request carries a tag, any u8 of the client's choice, and gets exactly one
// answer with the same tag.
//
//	LOGIN   0x01  @1 u8 tag  @2 u8 n (1..24)  @3 u8 t (1..64)  @4 n bytes name  @4+n t bytes token
//	MOVE    0x02  @1 u8 tag  @2 u8 direction (0..3)                                     3 bytes
//	CHAT    0x03  @1 u8 tag  @2 u8 n (0..24)  @3 u8 t (1..200) @4 n bytes to    @4+n t bytes text
//	PING    0x04  @1 u8 tag                                                             2 bytes
//	SAVE    0x05  @1 u8 tag                                                             2 bytes
//	LOGOUT  0x06  @1 u8 tag                                                             2 bytes
//
// A name is 1 to 24 of the characters A-Z a-z 0-9 _ and -. A token is any bytes; it
// is the player's password. A name that nobody has used yet is registered with the
// token that comes with it. Directions: 0 north (y-1), 1 east (x+1), 2 south (y+1),
// 3 west (x-1); x grows to the east and y to the south, from 0.
//
// CHAT with n = 0 goes to everyone on the sender's map, the sender included. With n
// > 0 it goes to the player of that name. Text is any bytes, by custom UTF-8: who
// displays it must not trust it.
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
//
// WELCOME answers LOGIN: where the player is. Flag 1: the name is new and was
// registered. Flag 2: another connection of this player was closed, and this one
// continues where that was. map is the index of a map in the order of the
// datapack's manifest. MOVED answers MOVE: where the player is after it. Flag 1: a
// wall or the map's edge was in the way and the player stayed. Flag 2: the step
// ended on a portal, and the player is where that leads, perhaps on another map.
// Players do not stand in each other's way, so the end of a walk depends on the
// walker's own moves alone. SAVED answers SAVE: everything the player did before
// the SAVE is on disk and survives a crash of the server or a loss of power. BYE
// answers LOGOUT: the same holds, and the server ends the stream behind it. REFUSED
// may answer any request instead; the connection goes on, except after a LOGOUT
// (code 7: the player could not be saved) and with code 11.
//
// Codes of REFUSED and KICKED:
//
//	1 malformed     not a frame of this protocol
//	2 flood         more frames per second than allowed
//	3 not-logged-in MOVE, CHAT, SAVE or LOGOUT, and nobody is logged in
//	4 logged-in     LOGIN, and somebody is logged in
//	5 bad-name      the name has a character that is not allowed
//	6 bad-token     the name is registered with another token
//	7 storage       the player's file could not be read or written; try again later
//	8 corrupt       the player's file is damaged; it is kept for the operator to look at
//	9 no-player     CHAT to a player who is not logged in
//	10 taken-over   the player logged in on another connection
//	11 full         the map that the player is on, or has stepped to, has no room
//
// # Frames that the server sends unasked
//
//	VIEW    0x90  @1 u8 flags  @2 u16 map  @4 u32 tick  @8 u16 n  @10 n bytes of entries
//	HEARD   0x91  @1 u8 flags  @2 u8 n (1..24)  @3 u8 t (1..200)  @4 n bytes from  @4+n t bytes text
//	KICKED  0x92  @1 u8 code                                                            2 bytes
//
// VIEW tells who is on the player's map, the player included; it comes about every
// 150 ms, and only if something has changed. Flag 1: forget everyone seen before;
// what follows is all there is, if need be in several frames of which only the
// first has the flag. Such a VIEW is the first of a map that comes after the
// WELCOME or MOVED that brought the player to that map. Entries follow each other
// without gaps, never cut by a frame's end:
//
//	ENTERED 1  @1 u16 id  @3 u8 x  @4 u8 y  @5 u8 n (1..24)  @6 n bytes name
//	MOVED   2  @1 u16 id  @3 u8 x  @4 u8 y                                              5 bytes
//	LEFT    3  @1 u16 id                                                                3 bytes
//
// An id stands for one player on this map from its ENTERED to its LEFT; afterwards
// it may be given to another. tick counts the server's ticks of this map and never
// decreases on one connection and map. A VIEW of a map that the client is not on,
// by the last WELCOME or MOVED it has read, is out of date and is to be ignored.
//
// HEARD is a line of chat. Flag 1: it was meant for this player alone. KICKED says
// why the server is going to close the connection; it is the last frame.
//
// # Conversation
//
// The client connects and sends LOGIN. WELCOME or REFUSED follows; after REFUSED it
// may try again; the fifth REFUSED is followed by KICKED with code 2. PING is
// answered at any time. The client may send requests without waiting for answers,
// behind LOGIN as well: they are held until it is answered. At 64 unanswered
// requests the server reads no further until it has answered some (a client that
// keeps its tags below 64 and uses each again only when it is answered never gets
// there). LOGOUT, or closing the connection, saves the player; nothing behind
// LOGOUT is read but PING. When a player logs in a second time the older connection
// gets KICKED with code 10, its frames that were not yet read are dropped, and the
// newer one goes on with the player as it is. A frame that is not as described
// here, or too many of them in a second (by default 200 at once and then 100 per
// second), are answered with KICKED. A server that stops saves all players and ends
// all streams.
//
// # Order
//
// Guaranteed: MOVED answers, and CHATTED answers to CHAT with n = 0, come in the
// order of their requests, as one sequence; a MOVE has its effect before any later
// MOVE, SAVE, LOGOUT or CHAT with n = 0. SAVED answers come in order, as one sequence. PONGs come
// in order. Lines that one player says to a map come in the order they were said,
// to each who hears them, and so do lines that one player says to another. WELCOME
// is the first frame after LOGIN except for PONGs and REFUSED. BYE is the last
// frame, after the answers to all earlier requests. VIEW frames of one map come in
// order. A VIEW with flag 1 comes after the WELCOME or MOVED that brought the
// player to its map.
//
// Left open: everything else. PONG, SAVED, CHATTED or REFUSED for a CHAT with n >
// 0, VIEW and HEARD may come between any two frames of the sequences above; tags
// tell what an answer belongs to. How changes are grouped into VIEW frames depends
// on time; what they add up to does not. Who hears a line said to a map while he
// himself enters or leaves it is a matter of luck; he has entered it for certain
// when a VIEW of it has come, or the answer to a SAVE, or to a CHAT with n = 0,
// that was sent behind the LOGIN or MOVE.
package proto
