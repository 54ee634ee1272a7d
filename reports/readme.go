package reports

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// Readme writes what a README shows of a run with servers that are not ours, as
// Markdown: the targets, a table for each level with the columns that matter most,
// and the command that makes it. A run without such servers is an error.
func Readme(to io.Writer, run *result.Run) error {
	vs := slices.DeleteFunc(views(run), func(v *view) bool { return !v.besides() })
	if len(vs) == 0 {
		return errors.New("report: the run has no experiment with servers that are not ours (lab run --experiment peers)")
	}
	var b strings.Builder
	if env := run.Environment; env != nil {
		fmt.Fprintf(&b, "Measured %s by `%s`: %s, %d CPUs (server on %s, load on %s), Linux %s, %s.\n\n", env.Start.UTC().Format("2 January 2006"),
			shellQuote(env.CommandLine), orUnknown(env.CPUModel), env.CPUCount, orUnknown(env.ServerCPUs), orUnknown(env.LoadCPUs),
			kernelRelease(env.Kernel), orUnknown(env.GoVersion))
	}
	if rows := judgeTargets(vs); len(rows) > 0 {
		markdownTargets(&b, rows)
	}
	for _, v := range vs {
		fmt.Fprintf(&b, "**%s**: %s Median [interval] (%s); bold: the best.\n\n", mdText(v.label()), mdText(v.Question), v.levelsOfConfidence())
		v.markdownServers(&b, func(c serverColumn) bool { return c.brief })
	}
	if env := run.Environment; env != nil {
		for _, r := range env.Refused {
			fmt.Fprintf(&b, "Not run: %s (%s).\n\n", mdText(r.Model), mdText(r.Reason))
		}
	}
	_, err := io.WriteString(to, strings.TrimSpace(b.String())+"\n")
	return err
}

// kernelRelease leaves out how the kernel was built.
func kernelRelease(kernel string) string {
	release, _, _ := strings.Cut(kernel, " ")
	return orUnknown(release)
}
