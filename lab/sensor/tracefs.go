package sensor

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// privateTracepointID reads a tracepoint's number from a tracefs that nobody else
// sees: mounted in a mount namespace of one thread of ours, which ends with it.
// Nothing changes for the system, nor for our own other threads. It needs
// CAP_SYS_ADMIN.
func privateTracepointID(group, name string) (uint64, error) {
	dir, err := os.MkdirTemp("", "tracefs-")
	if err != nil {
		return 0, fmt.Errorf("no folder to mount tracefs on: %w", err)
	}
	defer os.Remove(dir)
	var id uint64
	err = onThrowAwayThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("unshare(CLONE_NEWNS): %w", err)
		}
		// Without this the mount would show in the namespace that we came from.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make the mounts private: %w", err)
		}
		if err := unix.Mount("tracefs", dir, "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return fmt.Errorf("mount tracefs: %w", err)
		}
		var err error
		id, err = tracepointIDAt(dir, group, name)
		if e := unix.Unmount(dir, 0); err == nil && e != nil {
			err = fmt.Errorf("unmount tracefs: %w", e)
		}
		return err
	})
	return id, err
}

// onThrowAwayThread calls f on a thread that ends afterwards, whatever f did to
// it.
func onThrowAwayThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
		if unix.Gettid() != unix.Getpid() {
			done <- f()
			return
		}
		// Go cannot end the main thread. While we hold it, another goroutine gets
		// another one.
		defer runtime.UnlockOSThread()
		done <- onThrowAwayThread(f)
	}()
	return <-done
}
