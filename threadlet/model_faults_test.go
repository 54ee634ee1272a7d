package threadlet

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// The rules, by what their breach is called.
const (
	twoHeads  = "two heads"
	miscount  = "free ones and promised ones"
	deserved  = "never blocked"
	noHead    = "there is no head"
	leftWork  = "waits in the backlog"
	deadTimer = "a timer's on"
	trapped   = "cannot be reached"
)

// faultCases: each mistake that the protocol is written to avoid, a run that shows it, and the rule that it breaks.
var faultCases = []struct {
	fault fault
	what  string
	run   string
	rule  string
}{
	{bareWord, "no epoch and no body in the word", "blocks in a row", deserved},
	{leaveStores, "Leave stores", "lies", twoHeads},
	{acceptStores, "a standby accepts with a store", "offered", twoHeads},
	{takeStores, "a standby takes with a store", "lies", twoHeads},
	{handOverStores, "HandOver stores", "lies", twoHeads},
	{claimStores, "the watcher claims with a store", "watcher", twoHeads},
	{offerUnreserved, "Offer without a reservation", "offered", miscount},
	{handOverKeeps, "HandOver keeps a reservation", "lies", miscount},
	{takeKeeps, "a standby keeps a reservation", "lies", miscount},
	{watcherKeeps, "the watcher keeps a reservation", "watcher", miscount},
	{watcherLostSilent, "the watcher gives a reservation back and wakes nobody", "watcher and backlog", leftWork},
	{unreserveSilent, "HandOver gives a reservation back and wakes nobody", "announced late", leftWork},
	{unreserveForgets, "who gives a reservation back does not wake the watcher", "watcher of one that announces late", trapped},
	{sleepsBesideSpare, "who comes home does not look at the backlog", "backlog", leftWork},
	{spareOnlyAtHome, "only who comes home looks at the backlog", "backlog", leftWork},
	{spareBeforeFree, "who comes home looks at the backlog before it counts itself free", "backlog", leftWork},
	{pushesLast, "who adds work looks at free before, not afterwards", "backlog", leftWork},
	{sleepsUnseeing, "a standby sleeps without a look at the word", "backstop", trapped},
	{edgeLost, "a wake-up that finds nobody asleep is lost", "announced", noHead},
	{leavesUnreserved, "a standby leaves without a reservation", "stop", miscount},
	{tickOnce, "the handler of a tick does not look again", "backstop after bodies", trapped},
	{startBeforeStore, "Enter looks at the timer before it stores the word", "backstop", trapped},
	{longTickOnce, "the handler of an overrun's tick does not look again", "overrun", trapped},
	{watcherSleepsUnseeing, "the watcher sleeps whatever the command is", "watcher", trapped},
	{napUnseeingWord, "a watcher that saw no body does not look again before it sleeps", "watcher", trapped},
	{napUnseeingFree, "a watcher that found no standby does not look again before it sleeps", "watcher and a return", trapped},
	{napStores, "the watcher stores that it sleeps", "stop and watcher", trapped},
	{enterLooksFirst, "Enter looks at the command before it stores the word", "watcher", trapped},
	{homeLooksFirst, "who comes home looks at the command before it counts itself free", "watcher and a return", trapped},
	{homeSilent, "who comes home does not wake the watcher", "watcher and a return", trapped},
	{visitStores, "Visit stores", "visits", twoHeads},
	{unparkStores, "a head that wakes from its wait stores", "visits", twoHeads},
	{unparkUnseeing, "a head that wants its role back does not look again before it sleeps", "visits", trapped},
	{endVisitSilent, "EndVisit does not look whether the head wants its role", "visits", trapped},
	{endVisitLooksFirst, "EndVisit looks whether the head wants its role before it gives it back", "visits", trapped},
	{endVisitKeepsWanted, "EndVisit wakes the head without a word", "visits", trapped},
	{moreSilent, "who takes one of several out of the backlog wakes nobody for the rest", "visits of several", leftWork},
	{stopUnannounced, "Stop wakes the standbys before it says why", "stop", trapped},
}

// A checker that finds nothing proves nothing: it must find each of these.
func TestModelFindsFaults(t *testing.T) {
	var all fault
	for _, c := range faultCases {
		t.Run(c.what, func(t *testing.T) {
			p := modelRun(t, c.run)
			p.faults = c.fault
			_, f := explore(&p, modelStatesMax)
			require.NotNil(t, f, "the fault was not found")
			require.Contains(t, f.rule, c.rule, "%v", f)
			require.Contains(t, f.trace, "word ", "a trace in words")
		})
		all |= c.fault
	}
	require.Equal(t, faultsEnd-1, all, "a fault has no case")
	require.Equal(t, len(faultCases), bits.OnesCount64(uint64(all)), "two cases of one fault")
}

func modelRun(t *testing.T, name string) protocol {
	for _, c := range modelCases {
		if c.name == name {
			return c.p
		}
	}
	t.Fatalf("no run of the model is called %q", name)
	return protocol{}
}
