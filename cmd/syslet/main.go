// Command syslet serves, loads, measures and reports: see syslet --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitError      = 1
	exitUsage      = 2
	exitRegression = 3
	exitInvalid    = 4
)

// exitErr is an error with an exit code of its own.
type exitErr struct {
	code int
	err  error
}

func (e exitErr) Error() string { return e.err.Error() }
func (e exitErr) Unwrap() error { return e.err }

func usage(format string, a ...any) error { return exitErr{exitUsage, fmt.Errorf(format, a...)} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the first signal asks for an orderly end, the second one ends
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "syslet:", err)
	var e exitErr
	if errors.As(err, &e) {
		return e.code
	}
	return exitError
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "syslet",
		Short: "The same server as state machines, on io_uring, or as threadlets, and a lab that compares them",
		Long: `syslet runs the same server under several execution models and measures which of them fits:

  nonblock          nonblocking state machines on epoll, helpers for what blocks
  iouring           state machines on io_uring, submissions batched
  threadlet         requests simply run; what blocks goes async
  goroutine         a goroutine per connection, net package: the baseline
  nonblock-inline   nonblock without helpers: what blocks blocks the loop

Exit codes: 0 fine, 1 error, 2 usage, 3 regression, 4 invalid run.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exitErr{exitUsage, err} })
	root.AddCommand(newServe(), newLoad(), newFiles(), newLab(), newReport(), newDoctor())
	return root
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("unknown command or argument %q; see syslet --help", args[0])
	}
	return nil
}
