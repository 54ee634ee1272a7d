package trial

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Foreign is a server that is not ours. It is started on ServerCPUs: the lab
// binds it, whether or not it can bind itself.
//
// In Argv, Env and Files these stand for what the trial knows: {syslet} for this
// executable, {dir} for the trial's own folder (empty at first, removed at the
// end), {disk} for the file of NeedsDiskFile, {cpus} for the server's CPUs as
// taskset writes them, and, if Silent, {addr} and {port} for where to listen.
type Foreign struct {
	Argv []string
	// Env is added to the lab's own environment.
	Env map[string]string
	// Files are written into {dir} before the start, beside Spec.Files.
	Files map[string]string
	// Silent servers print no Ready line. A free loopback port is chosen for them,
	// and they are ready when it accepts. They should be one process: others than the
	// first are not measured. What they print is kept for the case that they fail. They
	// are ended by SIGTERM, to them and all that they started.
	Silent bool
	// NoCounters says why the server has no /stats, in words for the report: "a C
	// program's allocations are not counted". Empty: its Ready line has an admin.
	NoCounters string
}

// expander replaces the names in braces by what they stand for.
func (s *Spec) expander(addr string) *strings.Replacer {
	dir, err := filepath.Abs(s.WorkDir)
	if err != nil {
		dir = s.WorkDir
	}
	_, port, _ := net.SplitHostPort(addr)
	return strings.NewReplacer("{syslet}", s.Binary, "{dir}", dir, "{disk}", s.DiskFile, "{cpus}", CPUList(s.ServerCPUs),
		"{addr}", addr, "{port}", port)
}

func expand(r *strings.Replacer, argv []string) []string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = r.Replace(a)
	}
	return out
}

// writeFiles writes a server's or program's own files into the trial's folder.
func (s *Spec) writeFiles(files map[string]string, r *strings.Replacer) error {
	for name, text := range files {
		path := filepath.Join(s.WorkDir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("cannot write %s: %w", name, err)
		}
		if err := os.WriteFile(path, []byte(r.Replace(text)), 0o644); err != nil {
			return fmt.Errorf("cannot write %s: %w", name, err)
		}
	}
	return nil
}

// SiteFile is below WorkDir. Its text is made by the trial: a plan that held it would
// hold it for each trial.
const SiteFile = "www/file.txt"

// writeSite writes what the trial's server finds in its folder.
func (s *Spec) writeSite() error {
	files := maps.Clone(s.Files)
	if s.SiteBytes > 0 {
		if files == nil {
			files = map[string]string{}
		}
		const line = "A line of a file that nobody reads but checksums: the quick brown fox jumps over the lazy dog.\n"
		files[SiteFile] = strings.Repeat(line, int(s.SiteBytes)/len(line)+1)[:s.SiteBytes]
	}
	return s.writeFiles(files, s.expander(""))
}

// startForeign starts a server that is not ours.
func (s *Spec) startForeign(ctx context.Context) (*server, error) {
	addr := ""
	if s.Foreign.Silent {
		var err error
		if addr, err = freePort(); err != nil {
			return nil, err
		}
	}
	r := s.expander(addr)
	if err := s.writeFiles(s.Foreign.Files, r); err != nil {
		return nil, err
	}
	argv := expand(r, s.Foreign.Argv)
	if !s.Foreign.Silent {
		return startServer(argv, s.ServerCPUs)
	}
	p, err := startSilent(argv, s.Foreign.environ(r), s.ServerCPUs)
	if err != nil {
		return nil, err
	}
	srv := &server{process: p, argv: argv, silent: true, ready: Ready{Listen: addr, PID: p.cmd.Process.Pid}}
	if err := srv.awaitPort(ctx); err != nil {
		if srv.gone() {
			return nil, fmt.Errorf("the server did not start: %w", srv.stop())
		}
		srv.end()
		return nil, fmt.Errorf("the server did not start: it does not accept on %s: %w: %s", addr, err, p.errs.String())
	}
	return srv, nil
}

// environ is the environment of a server, with what stands for itself replaced.
func (f *Foreign) environ(r *strings.Replacer) []string {
	env := os.Environ()
	for _, name := range slices.Sorted(maps.Keys(f.Env)) {
		env = append(env, name+"="+r.Replace(f.Env[name]))
	}
	return env
}

// freePort is a loopback address that was free a moment ago: for servers that
// cannot say which port they got.
func freePort() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("no free port for the server: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// awaitPort connects until the server accepts, or is no more.
func (s *server) awaitPort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var d net.Dialer
	for {
		c, err := d.DialContext(ctx, "tcp4", s.ready.Listen)
		if err == nil {
			return c.Close()
		}
		if s.gone() {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(2 * time.Millisecond):
		}
	}
}
