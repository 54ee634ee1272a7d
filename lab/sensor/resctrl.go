package sensor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/syslet/syslet/lab/result"
)

// Resctrl measures, where the kernel's resource control is mounted
// (Documentation/filesystems/resctrl.rst; Intel RDT, AMD QoS), how much of the last
// level caches a process holds at the end of the window, "llc_occupancy" in bytes,
// and its traffic to memory within it, "mem_bandwidth" in bytes/s. It makes a
// monitoring group of its own and puts the process' threads there; threads that
// begin later are in it too.
type Resctrl struct {
	group string // its folder; "" if why says why there is none
	why   string
	from  uint64 // bytes
	err   error
	begun time.Time
}

const resctrlRoot = "/sys/fs/resctrl"

// NewResctrl makes the group. If that is not possible, the readings say why.
func NewResctrl(pid int) *Resctrl { return newResctrl(resctrlRoot, pid) }

func newResctrl(root string, pid int) *Resctrl {
	r := &Resctrl{}
	if _, err := os.Stat(filepath.Join(root, "mon_groups")); err != nil {
		r.why = fmt.Sprintf("resctrl is not mounted at %s, or this CPU monitors nothing (as root: mount -t resctrl resctrl %s)", root, root)
		return r
	}
	group := filepath.Join(root, "mon_groups", fmt.Sprintf("syslet-%d-%d", os.Getpid(), pid))
	if err := os.Mkdir(group, 0o755); err != nil {
		r.why = fmt.Sprintf("no monitoring group: %v (each takes an RMID; see %s/info/last_cmd_status)", err, root)
		return r
	}
	r.group = group
	if err := r.adopt(pid); err != nil {
		r.why = "no monitoring group: " + reason(pid, err)
	}
	return r
}

// adopt puts all threads into the group: one number per write.
func (r *Resctrl) adopt(pid int) error {
	tids, err := tasks(pid)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(r.group, "tasks"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, tid := range tids {
		if _, err := f.WriteString(strconv.Itoa(tid) + "\n"); err != nil && !ended(err) {
			return fmt.Errorf("thread %d: %w", tid, err)
		}
	}
	return nil
}

// Name implements Sensor.
func (r *Resctrl) Name() string { return "resctrl" }

// Close implements Sensor: the threads go back to where they were.
func (r *Resctrl) Close() {
	if r.group != "" {
		// Its files are the kernel's and go with it.
		_ = os.Remove(r.group)
	}
}

// Start implements Sensor.
func (r *Resctrl) Start() {
	if r.why == "" {
		r.from, r.err = r.sum("mbm_total_bytes")
	}
	r.begun = time.Now()
}

// Stop implements Sensor.
func (r *Resctrl) Stop() ([]Reading, []string) {
	seconds := time.Since(r.begun).Seconds()
	if r.why == "" && r.begun.IsZero() {
		r.why = errNeverStarted.Error()
	}
	if r.why != "" {
		return []Reading{
			state("llc_occupancy", result.Missing(r.why, "bytes", result.SourceResctrl)),
			state("mem_bandwidth", result.Missing(r.why, "bytes/s", result.SourceResctrl)),
		}, nil
	}
	moved, err := r.sum("mbm_total_bytes")
	bandwidth := result.Of(float64(grown(r.from, moved))/seconds, "bytes/s", result.SourceResctrl)
	if err := firstError(r.err, err); err != nil {
		bandwidth = result.Missing(err.Error(), "bytes/s", result.SourceResctrl)
	}
	held, err := r.sum("llc_occupancy")
	occupancy := result.Of(float64(held), "bytes", result.SourceResctrl)
	if err != nil {
		occupancy = result.Missing(err.Error(), "bytes", result.SourceResctrl)
	}
	return []Reading{state("llc_occupancy", occupancy), state("mem_bandwidth", bandwidth)}, nil
}

// sum adds a quantity up over all caches ("domains").
func (r *Resctrl) sum(name string) (sum uint64, err error) {
	files, _ := filepath.Glob(filepath.Join(r.group, "mon_data", "mon_L3_*", name))
	if len(files) == 0 {
		return 0, errors.New("this CPU does not monitor " + name)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, fmt.Errorf("resctrl: %w", err)
		}
		// "Unavailable" and "Error" are texts of the kernel.
		v, err := parseCount(text)
		if err != nil {
			return 0, fmt.Errorf("%s of %s: %w", name, filepath.Base(filepath.Dir(path)), err)
		}
		sum += v
	}
	return sum, nil
}
