package threadlet

// The model of the ownership protocol: Offer, and what the driver makes of it when it is refused (role.go, and offer in
// models/threadlet/driver.go).

// hasSpare: this pool has a backlog.
func (p *protocol) hasSpare() bool {
	for _, b := range p.bodies {
		if b.kind == offering {
			return true
		}
	}
	return false
}

func (t *turn) offer() {
	switch t.me().step {
	case atOffer:
		t.do("offers: looks whether we are stopping", func(n *modelState, me *modelThread) {
			if me.step = atOfferReserve; n.stopping {
				me.step = atPush
			}
		})
	case atOfferReserve:
		if t.p.has(offerUnreserved) {
			t.to("offers without a reservation", atOfferNote)
			return
		}
		t.reserve(func(_ *modelState, me *modelThread) { me.step = atOfferNote },
			func(_ *modelState, me *modelThread) {
				if me.step = atPush; t.p.has(pushesLast) {
					me.step = atPushFree
				}
			})
	case atOfferNote:
		t.to("notes the time of its offer", atOfferStore)
	case atOfferStore:
		t.do("stores the word: offered", func(n *modelState, me *modelThread) {
			n.word, me.step = t.p.pack(n.word.word().offer()), atOfferWake
		})
	case atOfferWake:
		t.offerWake("writes to offerFd", atBody)
	default:
		t.push()
	}
}

// push is what the driver does when no standby was free.
func (t *turn) push() {
	switch t.me().step {
	case atPush:
		t.do("adds the body to the backlog", func(n *modelState, me *modelThread) {
			n.push(me.body)
			if me.body, me.step = 0, atPushFree; t.p.has(pushesLast) {
				me.step = atLoop
			}
		})
	case atPushFree:
		t.do("looks at free", func(n *modelState, me *modelThread) {
			switch {
			case t.p.has(pushesLast) && n.free > 0:
				me.step = atOffer
			case t.p.has(pushesLast):
				me.step = atPush
			case n.free > 0:
				me.step = atPushStopping
			default:
				me.step = atLoop
			}
		})
	case atPushStopping:
		t.do("looks whether we are stopping", func(n *modelState, me *modelThread) {
			if me.step = atPop; n.stopping {
				me.step = atLoop
			}
		})
	case atPop:
		t.pop("takes the oldest of the backlog back", atOffer, atLoop)
	}
}

// pop takes the oldest body of the backlog and goes on at found, or at none.
func (t *turn) pop(did string, found, none modelStep) {
	t.do(did, func(n *modelState, me *modelThread) {
		if me.step = none; n.backlog[0] != 0 {
			me.body, me.step = n.backlog[0], found
			copy(n.backlog[:], n.backlog[1:])
			n.backlog[modelBodiesMax-1] = 0
		}
	})
}

func (n *modelState) push(body uint8) {
	for i := range n.backlog {
		if n.backlog[i] == 0 {
			n.backlog[i] = body
			return
		}
	}
}
