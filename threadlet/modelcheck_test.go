package threadlet

import (
	"fmt"
	"strings"
)

// An explicit-state model checker: it walks through every state that the processes of a model can reach together, in all orders
// of their steps, breadth first, and so finds a shortest way to a state that breaks a rule. It knows nothing of the code: that a
// step of the model is one atomic operation of the code is for the reader to compare.

// stateSpace is what is explored. S holds the whole state.
type stateSpace[S comparable] interface {
	initial() S
	// next calls emit for each step that some process can make in s.
	next(s S, emit func(to S, m made))
	// rule says which rule the state breaks, or "".
	rule(s S) string
	// over says whether all is done: from every state such a one must be reachable.
	over(s S) bool
	// canonical renames the processes that are alike, so that states that differ in names only count once.
	canonical(s S) S
	show(s S) string
}

// made is a step in words: who did what. broke, if not empty, says which rule that very step breaks.
type made struct{ who, did, broke string }

// finding is a broken rule and a shortest way there.
type finding struct{ rule, trace string }

func (f *finding) String() string { return f.rule + "\n" + f.trace }

// explored is how much was looked at.
type explored struct{ states, steps int }

// graph is the part of the state space that was explored. States are numbered in the order in which they were found.
type graph[S comparable] struct {
	space  stateSpace[S]
	states []S
	number map[S]int32
	parent []int32
	first  []int32 // edges[first[i]:first[i+1]] are the states that i leads to
	edges  []int32
}

// explore looks at every reachable state and returns the first broken rule, or nil. More than limit states count as broken, too.
func explore[S comparable](space stateSpace[S], limit int) (explored, *finding) {
	g := &graph[S]{space: space, number: map[S]int32{}}
	f := g.explore(limit)
	return explored{states: len(g.states), steps: len(g.edges)}, f
}

func (g *graph[S]) explore(limit int) *finding {
	g.add(g.space.canonical(g.space.initial()), -1)
	for i := int32(0); int(i) < len(g.states); i++ {
		if len(g.states) > limit {
			return &finding{rule: fmt.Sprintf("more than %d states: the bounds are too wide", limit)}
		}
		if r := g.space.rule(g.states[i]); r != "" {
			return g.report(i, r)
		}
		if r := g.expand(i); r != "" {
			return g.report(i, r)
		}
	}
	g.first = append(g.first, int32(len(g.edges)))
	return g.trap()
}

func (g *graph[S]) add(s S, parent int32) int32 {
	n, known := g.number[s]
	if !known {
		n = int32(len(g.states))
		g.number[s] = n
		g.states = append(g.states, s)
		g.parent = append(g.parent, parent)
	}
	return n
}

// expand makes every step that is possible in state i, and returns the rule that one of them breaks.
func (g *graph[S]) expand(i int32) (broke string) {
	g.first = append(g.first, int32(len(g.edges)))
	g.space.next(g.states[i], func(to S, m made) {
		if m.broke != "" {
			broke = m.broke
			return
		}
		g.edges = append(g.edges, g.add(g.space.canonical(to), i))
	})
	return broke
}

// trap finds a state from which no way leads to the end: going backwards from all ends, what is not reached is one.
func (g *graph[S]) trap() *finding {
	into, back := g.reversed()
	good := make([]bool, len(g.states))
	var todo []int32
	for i, s := range g.states {
		if g.space.over(s) {
			good[i] = true
			todo = append(todo, int32(i))
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, from := range back[into[i]:into[i+1]] {
			if !good[from] {
				good[from] = true
				todo = append(todo, from)
			}
		}
	}
	for i := range g.states {
		if !good[i] {
			return g.report(g.deepest(int32(i)), "the end cannot be reached any more")
		}
	}
	return nil
}

// reversed gives the edges backwards: back[into[i]:into[i+1]] are the states that lead to i.
func (g *graph[S]) reversed() (into, back []int32) {
	n := len(g.states)
	into, back = make([]int32, n+2), make([]int32, len(g.edges))
	for _, to := range g.edges {
		into[to+2]++
	}
	for i := range n {
		into[i+2] += into[i+1]
	}
	for from := range n {
		for _, to := range g.edges[g.first[from]:g.first[from+1]] {
			back[into[to+1]] = int32(from)
			into[to+1]++
		}
	}
	return into[:n+1], back
}

// deepest follows a trap to the last new state, so that the report shows what stands still.
func (g *graph[S]) deepest(i int32) int32 {
	seen := map[int32]bool{i: true}
	todo := []int32{i}
	for k := 0; k < len(todo); k++ {
		for _, to := range g.edges[g.first[todo[k]]:g.first[todo[k]+1]] {
			if !seen[to] {
				seen[to] = true
				todo = append(todo, to)
			}
		}
	}
	return todo[len(todo)-1]
}

// report tells the way to state i, and a step from there that breaks the rule if there is one. Canonical states rename processes on
// the way, so the way is walked once more with the names that they had at the start.
func (g *graph[S]) report(i int32, rule string) *finding {
	var path []int32
	for at := i; at > 0; at = g.parent[at] {
		path = append(path, at)
	}
	var b strings.Builder
	s := g.space.initial()
	fmt.Fprintf(&b, "%4d  %-66s  %s\n", 0, "", g.space.show(s))
	for n := 1; n <= len(path); n++ {
		want, found := g.states[path[len(path)-n]], false
		g.space.next(s, func(to S, m made) {
			if !found && m.broke == "" && g.space.canonical(to) == want {
				found = true
				fmt.Fprintf(&b, "%4d  %-66s  %s\n", n, m.who+" "+m.did, g.space.show(to))
				s = to
			}
		})
		if !found {
			panic("model: the way is lost; canonical does more than rename")
		}
	}
	g.space.next(s, func(_ S, m made) {
		if m.broke == rule {
			fmt.Fprintf(&b, "%4d  %s %s\n", len(path)+1, m.who, m.did)
		}
	})
	return &finding{rule: rule, trace: b.String()}
}
