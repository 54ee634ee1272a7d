package reports

import (
	"fmt"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// machine is the environment as a list; what is not known says so.
func machine(env *result.Environment) []fact {
	if env == nil {
		return nil
	}
	return []fact{
		{"CPU", fmt.Sprintf("%s, %d in use", orUnknown(env.CPUModel), env.CPUCount)},
		{"Virtual machine", orElse(env.Virtual, "no, or not known")},
		{"Frequency governor", orUnknown(env.Governor)},
		{"Caches", orUnknown(caches(env.Caches))},
		{"Memory", memory(env.MemoryBytes)},
		{"Kernel", orUnknown(strings.TrimSpace(env.OS + " " + env.Kernel + " " + env.Arch))},
		{"io_uring", capability(env.IOUring)},
		{"perf events", capability(env.Perf)},
		{"Server's CPUs", orUnknown(env.ServerCPUs)},
		{"Load's CPUs", orUnknown(env.LoadCPUs)},
		{"Filesystem of results", orUnknown(env.OutFilesystem)},
		{"Filesystem of the server's files", orUnknown(env.DataFilesystem)},
		{"Go", fmt.Sprintf("%s, GOMAXPROCS %d", orUnknown(env.GoVersion), env.GOMAXPROCS)},
		{"syslet", strings.TrimSpace(orUnknown(env.Version) + " " + env.Commit)},
		{"User", user(env.UID)},
		{"Seed", fmt.Sprint(env.Seed)},
		{"Start", env.Start.UTC().Format("2006-01-02 15:04:05 UTC")},
	}
}

func orElse(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

func memory(bytes uint64) string {
	if bytes == 0 {
		return "unknown"
	}
	return number(float64(bytes)/(1<<30)) + " GiB"
}

func caches(all []result.Cache) string {
	var parts []string
	for _, c := range all {
		text := fmt.Sprintf("L%d %s %s KiB", c.Level, strings.ToLower(c.Type), number(float64(c.SizeBytes)/1024))
		if c.SharedCPUs != "" {
			text += " (CPUs " + c.SharedCPUs + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func capability(c result.Capability) string {
	state := "unavailable"
	if c.Available {
		state = "available"
	}
	if c.Detail != "" {
		state += ": " + c.Detail
	}
	return state
}

func user(uid int) string {
	if uid == 0 {
		return "root"
	}
	return "ordinary user"
}
