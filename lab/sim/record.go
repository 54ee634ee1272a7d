package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads"
	"github.com/syslet/syslet/workloads/script"
)

const (
	recordTimeout = 10 * time.Second
	answerRoom    = 64 << 10
)

// Record has scripted clients speak to a server in this process, one request at a
// time on each connection in turn, and writes down what they send and how long the
// answers are. (In turn, because then all that a connection alone uses has left the
// small caches when its turn comes; with random picks, how much is still there hangs
// on where things lie.) The same seed gives the same trace. It refuses workloads whose
// server sends by the clock or what nobody asked for: they have no lock step.
func Record(ctx context.Context, workload string, server workloads.ServerConfig, clients workloads.LoadConfig, conns, steps int, seed uint64) (*Trace, error) {
	if workload == workloads.Game || workload == workloads.Fanout {
		return nil, fmt.Errorf("sim: no trace of %q: its server sends by the clock or to others than who asked, so that requests and answers have no lock step (want echo or fileserver)", workload)
	}
	load, err := workloads.Load(workload, clients)
	if err != nil {
		return nil, err
	}
	newApp, err := workloads.Server(workload, server)
	if err != nil {
		return nil, err
	}
	srv, err := models.Open("nonblock", runtime.Options{Listen: "127.0.0.1:0", BlockThreshold: -1})
	if err != nil {
		return nil, err
	}
	if err := srv.Start(newApp); err != nil {
		return nil, err
	}
	t, err := record(ctx, srv.Addr().String(), load, conns, steps, seed)
	stop, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	if err = errors.Join(err, srv.Stop(stop)); err != nil {
		return nil, err
	}
	t.Workload = workload
	return t, t.check()
}

func record(ctx context.Context, addr string, load script.Load, conns, steps int, seed uint64) (*Trace, error) {
	t := &Trace{Seed: seed, Conns: conns}
	peers, err := dial(ctx, addr, conns)
	if err != nil {
		return nil, err
	}
	defer closeAll(peers)
	clients := make([]script.Client, conns)
	for i := range clients {
		clients[i] = load.Client(i, seed)
		if hello := clients[i].Hello(nil); len(hello) > 0 || !clients[i].Ready() {
			return nil, errors.New("sim: this workload's clients begin with a hello, which a trace has no place for")
		}
	}
	for i := range steps {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		conn := i % conns
		step, err := recordStep(peers[conn], clients[conn])
		if err != nil {
			return nil, fmt.Errorf("sim: step %d of the recording: %w", i, err)
		}
		step.Conn = conn
		t.Steps = append(t.Steps, step)
	}
	return t, nil
}

// recordStep asks once and waits for the whole answer.
func recordStep(peer net.Conn, client script.Client) (Step, error) {
	out, tag, _ := client.Request(nil)
	s := Step{Send: out}
	if err := peer.SetDeadline(time.Now().Add(recordTimeout)); err != nil {
		return s, err
	}
	if _, err := peer.Write(out); err != nil {
		return s, err
	}
	var in []byte
	room := make([]byte, answerRoom)
	for {
		n, err := peer.Read(room)
		if err != nil {
			return s, err
		}
		s.Answer += n
		in = append(in, room[:n]...)
		consumed, tags, err := client.Received(in, nil)
		if err != nil {
			return s, err
		}
		in = in[consumed:]
		switch {
		case len(tags) == 0:
		case len(tags) > 1 || tags[0] != tag || len(in) > 0:
			return s, fmt.Errorf("the server sent %d answers and %d bytes more where one answer was due", len(tags), len(in))
		default:
			return s, nil
		}
	}
}

// dial opens that many connections, one after the other.
func dial(ctx context.Context, addr string, n int) (peers []net.Conn, err error) {
	d := net.Dialer{Timeout: recordTimeout}
	for range n {
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			closeAll(peers)
			return nil, err
		}
		peers = append(peers, c)
	}
	return peers, nil
}

func closeAll(peers []net.Conn) {
	for _, p := range peers {
		_ = p.Close()
	}
}
