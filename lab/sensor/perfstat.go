package sensor

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/result"
)

// perfStat is the tool perf stat, counting a process from enable to disable. It is told
// when by a pair of pipes, so that nobody has to guess.
type perfStat struct {
	cmd      *exec.Cmd
	out      bytes.Buffer
	control  *os.File
	answers  *os.File
	answered *bufio.Reader
	counts   map[string]float64
	why      string // why it counts nothing
	ended    bool
}

// perfAnswers is how long the tool may take for an answer: it begins by looking at the
// whole machine.
const perfAnswers = 20 * time.Second

// startPerfStat starts the tool. Events that are tracepoints need tracefs, which is
// mounted for the tool alone. End it.
func startPerfStat(ctx context.Context, pid int, event string) *perfStat {
	p := &perfStat{}
	if p.why = perfMissing(); p.why != "" {
		return p
	}
	theirControl, control, err := os.Pipe()
	if err != nil {
		p.why = err.Error()
		return p
	}
	answers, theirAnswers, err := os.Pipe()
	if err != nil {
		theirControl.Close()
		control.Close()
		p.why = err.Error()
		return p
	}
	argv := fmt.Sprintf("exec perf stat -x, -e %s -p %d -D -1 --control fd:3,4", event, pid)
	if strings.Contains(event, ":") {
		argv = "mount --make-rprivate / && mount -t tracefs tracefs /sys/kernel/tracing && " + argv
	}
	p.cmd = exec.CommandContext(ctx, "unshare", "--mount", "sh", "-c", argv)
	p.cmd.ExtraFiles, p.cmd.Stderr = []*os.File{theirControl, theirAnswers}, &p.out
	p.control, p.answers, p.answered = control, answers, bufio.NewReader(answers)
	err = p.cmd.Start()
	theirControl.Close()
	theirAnswers.Close()
	if err != nil {
		p.why, p.ended = err.Error(), true
	}
	return p
}

// perfMissing says what is missing to run the tool, or nothing.
func perfMissing() string {
	for _, tool := range []string{"perf", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Sprintf("no %s in PATH (apt-get install linux-tools-generic, util-linux)", tool)
		}
	}
	return ""
}

// enable begins the counting.
func (p *perfStat) enable() {
	if p.why == "" && !p.tell("enable") {
		p.finish()
		p.why = "perf stat does not count here: " + strings.Join(strings.Fields(p.out.String()), " ")
	}
}

// disable ends the counting, and the tool.
func (p *perfStat) disable() {
	if p.why != "" {
		return
	}
	if !p.tell("disable") {
		p.why = "perf stat ended early: " + strings.Join(strings.Fields(p.out.String()), " ")
		return
	}
	p.finish()
	p.counts = parsePerfStat(p.out.String())
}

func (p *perfStat) tell(word string) bool {
	if _, err := io.WriteString(p.control, word+"\n"); err != nil {
		return false
	}
	_ = p.answers.SetReadDeadline(time.Now().Add(perfAnswers)) // a pipe: it has deadlines
	line, err := p.answered.ReadString('\n')
	return err == nil && strings.Contains(line, "ack")
}

func (p *perfStat) finish() {
	if p.cmd != nil && !p.ended {
		p.ended = true
		_ = p.cmd.Process.Signal(unix.SIGINT) // it prints then
		_ = p.cmd.Wait()                      // says that it was interrupted
	}
}

// end ends the tool if it still runs, and frees the pipes.
func (p *perfStat) end() {
	p.finish()
	if p.control != nil {
		p.control.Close()
		p.answers.Close()
	}
}

// count is what was counted of an event, times by.
func (p *perfStat) count(event string, by float64, unit string) result.Metric {
	v, ok := p.counts[event]
	if !ok {
		return result.Missing(firstText(p.why, "perf stat printed no count: "+p.out.String()), unit, toolName)
	}
	return result.Of(v*by, unit, toolName)
}

// parsePerfStat reads lines VALUE,UNIT,EVENT,...; events without a value are left out.
func parsePerfStat(text string) map[string]float64 {
	counts := map[string]float64{}
	for line := range strings.Lines(text) {
		if fields := strings.Split(line, ","); len(fields) > 2 {
			if v, err := strconv.ParseFloat(fields[0], 64); err == nil {
				counts[fields[2]] = v
			}
		}
	}
	return counts
}
